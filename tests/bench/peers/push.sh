#!/bin/sh
# push.sh LAYOUTS REGISTRY: every `dir:` layout below LAYOUTS into REGISTRY.
set -eu

skopeo --insecure-policy sync --all --scoped --dest-tls-verify=false \
    --src dir --dest docker "$1" "$2"
