#!/bin/sh
# convert.sh LAYOUTS TREE: the `dir:` layouts below LAYOUTS as a registry's storage tree, blobs by
# hardlink and one link file after another.
set -eu
layouts=$1 tree=$2/docker/registry/v2

# link_file FILE DIGEST
link_file() {
    mkdir -p "${1%/*}"
    printf %s "$2" >"$1"
}

# blob FILE HEX
blob() {
    dir=$tree/blobs/sha256/$(echo "$2" | cut -c1-2)/$2
    if [ ! -e "$dir/data" ]; then
        mkdir -p "$dir"
        ln "$1" "$dir/data"
    fi
}

find "$layouts" -name manifest.json | while read -r manifest; do
    layout=${manifest%/manifest.json}
    name=${layout#"$layouts"/}
    tag=${name##*:}
    repository=$tree/repositories/${name%:*}

    for file in "$layout"/*; do
        hex=${file##*/}
        case $hex in
            version | manifest.json) continue ;;
            *.manifest.json)
                hex=${hex%.manifest.json}
                link_file "$repository/_manifests/revisions/sha256/$hex/link" "sha256:$hex"
                ;;
            *) link_file "$repository/_layers/sha256/$hex/link" "sha256:$hex" ;;
        esac
        blob "$file" "$hex"
    done

    hex=$(sha256sum "$manifest" | cut -d ' ' -f 1)
    blob "$manifest" "$hex"
    link_file "$repository/_manifests/revisions/sha256/$hex/link" "sha256:$hex"
    link_file "$repository/_manifests/tags/$tag/index/sha256/$hex/link" "sha256:$hex"
    link_file "$repository/_manifests/tags/$tag/current/link" "sha256:$hex"
done
