#!/bin/sh
# Turns `dir:` layouts into a registry's storage, as scripts like this do: usage SRC DEST.
# Only what a pull needs is written, with no more care than `echo` takes.
set -eu
src=$1
tree=$2/docker/registry/v2

link() {
    mkdir -p "$2"
    echo "sha256:$1" > "$2/link"
}

find "$src" -name manifest.json | while read -r manifest; do
    dir=$(dirname "$manifest")
    name=$(basename "$dir")
    repo=$tree/repositories/${name%:*}
    tag=${name##*:}
    for file in "$dir"/*; do
        sha=$(sha256sum "$file" | cut -d ' ' -f 1)
        case $(basename "$file") in
            version) continue ;;
            manifest.json)
                link "$sha" "$repo/_manifests/revisions/sha256/$sha"
                link "$sha" "$repo/_manifests/tags/$tag/current"
                ;;
            *) link "$sha" "$repo/_layers/sha256/$sha" ;;
        esac
        blob=$tree/blobs/sha256/$(echo "$sha" | cut -c 1-2)/$sha
        mkdir -p "$blob"
        ln -f "$file" "$blob/data"
    done
done
