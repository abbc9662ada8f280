#!/bin/sh
# crane.sh pull|push REGISTRY NAMES DIR: the images of NAMES (a `repository:tag` a line) out of a
# registry into OCI layouts or back, one after another. It tries again what may pass by itself;
# what it gives up is begun anew, up to five times.
set -eu
job=$1 registry=$2 names=$3 dir=$4

once() {
    case $job in
        pull) rm -rf "$2" && crane pull --insecure --format=oci "$registry/$1" "$2" ;;
        push) crane push --insecure $(index "$2") "$2" "$registry/$1" >/dev/null ;;
    esac
}

# A layout of one image is pushed as that, and one of an index as that.
index() {
    if grep -q 'image.index\|manifest.list' "$1/index.json"; then echo --index; fi
}

while read -r name; do
    layout=$dir/$(echo "$name" | tr /: __)
    mkdir -p "$dir"
    for attempt in 1 2 3 4 5 6; do
        if once "$name" "$layout" </dev/null; then break; fi
        test "$attempt" -lt 6
    done
done <"$names"
