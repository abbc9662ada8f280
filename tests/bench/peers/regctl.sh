#!/bin/sh
# regctl.sh pull|push REGISTRY NAMES DIR: the images of NAMES (a `repository:tag` a line) out of a
# registry into OCI layouts or back, one after another. It tries again what may pass by itself;
# what it gives up is begun anew, up to five times.
set -eu
job=$1 registry=$2 names=$3 dir=$4

copy() {
    for attempt in 1 2 3 4 5 6; do
        if regctl --host "reg=$registry,tls=disabled" image copy "$1" "$2" </dev/null >/dev/null; then return; fi
        test "$attempt" -lt 6
    done
}

while read -r name; do
    layout=ocidir://$dir/$(echo "$name" | tr /: __)
    mkdir -p "$dir"
    case $job in
        pull) copy "$registry/$name" "$layout" ;;
        push) copy "$layout" "$registry/$name" ;;
    esac
done <"$names"
