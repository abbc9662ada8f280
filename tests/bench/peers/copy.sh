#!/bin/sh
# copy.sh TOOL SOURCE NAMES TARGET WORK: the images of NAMES (a `repository:tag` a line) from one
# registry into another, under the same names, as each tool does it best; WORK is a directory for
# its configuration.
set -eu
tool=$1 source=$2 names=$3 target=$4 work=$5

mkdir -p "$work"
case $tool in
    skopeo)
        # One process for all, and the index with all its platforms.
        {
            echo "$source:"
            echo "  tls-verify: false"
            echo "  images:"
            sed 's/^\(.*\):\([^:]*\)$/    \1: ["\2"]/' "$names"
        } >"$work/skopeo.yml"
        skopeo --insecure-policy sync --all --retry-times 5 --src yaml --dest docker \
            --dest-tls-verify=false "$work/skopeo.yml" "$target"
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
    image-syncer)
        {
            echo "{"
            sed "s|^\(.*\):\([^:]*\)$|\"$source/\1:\2\": \"$target/\1:\2\",|" "$names" | sed '$ s/,$//'
            echo "}"
        } >"$work/images.json"
        cat >"$work/auth.json" <<END
{"$source": {"insecure": true}, "$target": {"insecure": true}}
END
        image-syncer --proc=6 --retries=5 --auth="$work/auth.json" --images="$work/images.json"
        ;;
    *)
        echo "copy.sh: no such tool: $tool" >&2
        exit 2
        ;;
esac
