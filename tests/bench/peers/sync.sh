#!/bin/sh
# sync.sh PROGRAM SOURCE NAMES TARGET WORK: the images of NAMES (a `repository:tag` a line) with one
# command line of skopeo's or of image-syncer's, whichever PROGRAM is, from SOURCE to TARGET: each is the
# `HOST:PORT` of a registry or the `/PATH` of a directory. WORK is a directory for its configuration.
set -eu
program=$1 source=$2 names=$3 target=$4 work=$5

mkdir -p "$work"
case $(basename "$program") in
    image-syncer)
        {
            echo "{"
            sed "s|^\(.*\):\([^:]*\)$|\"$source/\1:\2\": \"$target/\1:\2\",|" "$names" | sed '$ s/,$//'
            echo "}"
        } >"$work/images.json"
        cat >"$work/auth.json" <<END
{"$source": {"insecure": true}, "$target": {"insecure": true}}
END
        exec "$program" --proc=6 --retries=5 --auth="$work/auth.json" --images="$work/images.json"
        ;;
esac

# The names below the target are the last parts of those at the source, but in a directory they are whole:
# a `HOST:PORT` cannot be a part of the name of a repository.
sync="$program --insecure-policy sync --all --retry-times 5"
case $source,$target in
    /*,*)
        exec $sync --scoped --dest-tls-verify=false --src dir --dest docker "$source" "$target"
        ;;
    *,/*)
        "$(dirname "$0")/yaml.sh" "$source" "$names" >"$work/skopeo.yml"
        exec $sync --scoped --src yaml --dest dir "$work/skopeo.yml" "$target"
        ;;
    *)
        "$(dirname "$0")/yaml.sh" "$source" "$names" >"$work/skopeo.yml"
        exec $sync --dest-tls-verify=false --src yaml --dest docker "$work/skopeo.yml" "$target"
        ;;
esac
