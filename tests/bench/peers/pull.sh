#!/bin/sh
# pull.sh REGISTRY NAMES OUTPUT: every image of NAMES (a `repository:tag` a line) from REGISTRY into
# a `dir:` layout, one after another.
set -eu
registry=$1 names=$2 output=$3

mkdir -p "$output"
while read -r name; do
    skopeo --insecure-policy sync --all --scoped --src-tls-verify=false \
        --src docker --dest dir "$registry/$name" "$output" </dev/null
done <"$names"
