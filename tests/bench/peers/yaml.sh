#!/bin/sh
# yaml.sh REGISTRY NAMES: the file for `skopeo sync --src yaml` that says what NAMES (a `repository:tag`
# a line) says. A repository stands in it once: of two keys with one name, skopeo takes the last.
set -eu

echo "$1:"
echo "  tls-verify: false"
echo "  images:"
sed 's/:\([^:]*\)$/ \1/' "$2" | awk '
    !($1 in tags) { order[++n] = $1 }
    { tags[$1] = tags[$1] (tags[$1] == "" ? "" : ", ") "\"" $2 "\"" }
    END { for (i = 1; i <= n; i++) print "    " order[i] ": [" tags[order[i]] "]" }
'
