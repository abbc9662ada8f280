CARGO ?= cargo
TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
STATIC_TARGET := x86_64-unknown-linux-gnu
STATIC = $(TARGET_DIR)/$(STATIC_TARGET)/release/hod
DIST = $(TARGET_DIR)/$(STATIC_TARGET)/dist/hod
STATIC_BUILD = RUSTFLAGS='-C target-feature=+crt-static' $(CARGO) build --locked --target $(STATIC_TARGET)
# It is in every bundle.
DIST_LEN_MAX := 25000000

.DEFAULT_GOAL := help
.PHONY: help build demo test test-registries msrv check bench dist

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the release binary
	$(CARGO) build --release --locked

demo: ## build a static binary, carry images from one embedded registry into others, and show it
	$(STATIC_BUILD) --release
	HOD="$(STATIC)" sh tests/demo.sh

test: ## run all tests; installs Debian's skopeo and docker-registry when they are missing
	tests/setup
	$(CARGO) test --locked --workspace

test-registries: ## run the OCI conformance suite, and the tests with real registries on distribution v3; needs Go
	tests/setup
	CARGO="$(CARGO)" tests/registries

MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
msrv: ## check that the oldest supported Rust compiles it; needs rustup
	rustup toolchain install --profile minimal --no-self-update $(MSRV)
	CARGO_TARGET_DIR="$(TARGET_DIR)/msrv" rustup run $(MSRV) cargo check --locked --workspace

check: ## do what CI does: formatting, lints, tests, documentation
	.ci/run

bench: build ## measure beside skopeo, shell and tar
	HOD="$(TARGET_DIR)/release/hod" tests/bench/run

dist: ## build the static binary (static-pie, needs no libc at the site)
	$(STATIC_BUILD) --profile dist
	@test "$$(stat -c %s "$(DIST)")" -le $(DIST_LEN_MAX) || { echo "$(DIST) has more than $(DIST_LEN_MAX) bytes" >&2; exit 1; }
	@echo "$(DIST)"
