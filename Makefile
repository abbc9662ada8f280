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

demo: ## build a static binary and show a whole transfer between local registries
	$(STATIC_BUILD) --release
	HOD="$(STATIC)" sh tests/demo.sh

# Many tests wait for timers and other programs, so that there are twice as many as processors.
test: ## run all tests; installs missing peers, such as skopeo and docker-registry
	tests/setup
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(($$(nproc) * 2))} $(CARGO) test --locked --workspace

test-registries: ## run the OCI conformance suite, and tests with distribution v3; requires Go
	tests/setup
	CARGO="$(CARGO)" tests/registries

MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
msrv: ## check with the oldest supported Rust; requires rustup
	rustup toolchain install --profile minimal --no-self-update $(MSRV)
	CARGO_TARGET_DIR="$(TARGET_DIR)/msrv" rustup run $(MSRV) cargo check --locked --workspace

check: ## run what CI runs: formatting, lints, tests, documentation
	.ci/run

bench: build ## compare the speed with skopeo, shell and tar
	HOD="$(TARGET_DIR)/release/hod" tests/bench/run

dist: ## build the static binary, which requires no libc
	$(STATIC_BUILD) --profile dist
	@test "$$(stat -c %s "$(DIST)")" -le $(DIST_LEN_MAX) || { echo "$(DIST) is larger than $(DIST_LEN_MAX) bytes" >&2; exit 1; }
	@echo "$(DIST)"
