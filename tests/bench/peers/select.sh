#!/bin/sh
# select.sh STORE NAMES TREE: the images of NAMES (a `repository:tag` a line) out of one registry's
# storage tree into another, blobs by hardlink and one link file after another.
set -eu
store=$1/docker/registry/v2 names=$2 tree=$3/docker/registry/v2

# link_file FILE DIGEST
link_file() {
    mkdir -p "${1%/*}"
    echo -n "$2" >"$1"
}

# blob HEX
blob() {
    path=blobs/sha256/$(echo "$1" | cut -c1-2)/$1
    if [ ! -e "$tree/$path/data" ]; then
        mkdir -p "$tree/$path"
        ln "$store/$path/data" "$tree/$path/data"
    fi
}

# manifest REPOSITORY HEX: the manifest and everything that it names.
manifest() {
    blob "$2"
    link_file "$tree/repositories/$1/_manifests/revisions/sha256/$2/link" "sha256:$2"
    for named in $(grep -o 'sha256:[0-9a-f]\{64\}' "$tree/blobs/sha256/$(echo "$2" | cut -c1-2)/$2/data" | sort -u); do
        hex=${named#sha256:}
        if [ -e "$store/repositories/$1/_manifests/revisions/sha256/$hex/link" ]; then
            manifest "$1" "$hex"
        elif [ -e "$store/repositories/$1/_layers/sha256/$hex/link" ]; then
            blob "$hex"
            link_file "$tree/repositories/$1/_layers/sha256/$hex/link" "$named"
        fi
    done
}

while read -r name; do
    repository=${name%:*} tag=${name##*:}
    digest=$(cat "$store/repositories/$repository/_manifests/tags/$tag/current/link")
    manifest "$repository" "${digest#sha256:}"
    link_file "$tree/repositories/$repository/_manifests/tags/$tag/index/sha256/${digest#sha256:}/link" "$digest"
    link_file "$tree/repositories/$repository/_manifests/tags/$tag/current/link" "$digest"
done <"$names"
