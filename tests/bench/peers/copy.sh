#!/bin/sh
# copy.sh TOOL SOURCE NAMES TARGET WORK: the images of NAMES (a `repository:tag` a line) from one
# registry into another, under the same names, as each tool does it best; WORK is a directory for
# its configuration.
set -eu
tool=$1 source=$2 names=$3 target=$4 work=$5

mkdir -p "$work"
case $tool in
    skopeo | image-syncer)
        "$(dirname "$0")/sync.sh" "$tool" "$source" "$names" "$target" "$work"
        ;;
    crane)
        while read -r name; do
            crane copy --insecure "$source/$name" "$target/$name" </dev/null
        done <"$names"
        ;;
    regctl)
        while read -r name; do
            regctl --host "reg=$source,tls=disabled" --host "reg=$target,tls=disabled" \
                image copy "$source/$name" "$target/$name" </dev/null >/dev/null
        done <"$names"
        ;;
    *)
        echo "copy.sh: no such tool: $tool" >&2
        exit 2
        ;;
esac
