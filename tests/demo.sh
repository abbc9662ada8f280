#!/bin/sh
# Carries the images of fixtures/images-list.txt from one registry through a bundle into another.
# `hod serve` is both registries, on this machine. The script requires nothing else, and leaves nothing
# behind. `make demo` runs it; HOD names the program.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
hod=${HOD:-$root/target/release/hod}
if ! command -v "$hod" >/dev/null; then
    echo "tests/demo.sh: program \`$hod\` not found; build it with \`make build\`" >&2
    exit 1
fi
case "$hod" in
    */*) hod=$(CDPATH='' cd -- "$(dirname -- "$hod")" && pwd)/$(basename -- "$hod") ;;
esac

servers=''
work=$(mktemp -d "${TMPDIR:-/tmp}/hod-demo.XXXXXX")

clean_up() {
    status=$?
    trap - EXIT
    for server in $servers; do
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    done
    rm -rf -- "$work"
    if [ "$status" -ne 0 ]; then
        printf '\nThe demo failed.\n' >&2
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

cd "$work"
ln -s "$root/fixtures" fixtures

# stdout and stderr are one stream, so that the output stays in order.
exec 2>&1

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
    bold='' plain=''
fi

fail() {
    printf '%s\n' "$1"
    exit 1
}

# Prints the heading of a step.
say() {
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

# Prints a hod command and runs it.
run() {
    printf '$ hod %s\n' "$*"
    "$hod" "$@"
}

# Starts a server and sets `address` to its address.
serve() {
    printf '$ hod serve %s &\n' "$*"
    rm -f ready
    mkfifo ready
    "$hod" serve "$@" >ready 2>serve.log &
    servers="$servers $!"
    # The first line that a server prints is its URL; a server that fails prints none.
    read -r url <ready || fail "$(cat serve.log)"
    echo "$url"
    address=${url#http://}
}

started=$(date +%s)

say '1. Start a registry with the images of a small product.'
serve fixtures/registry --listen 127.0.0.1:0
source=$address

say '2. A list names the images to carry.'
echo '$ cat fixtures/images-list.txt'
cat fixtures/images-list.txt

say '3. Pull them into a store. Blobs that images share are fetched once.'
run pull fixtures/images-list.txt --store store --source "$source" --platform linux/amd64

say '4. List the images in the store.'
run ls store

say '5. One site requires only the core. Select it: hardlinks take no extra space.'
run select fixtures/images-list.txt --section core --store store --output site-a

say '6. Pack it into a bundle: one file, to carry across the air gap.'
run pack site-a --output site-a.tar
echo '$ ls -l site-a.tar'
ls -l site-a.tar

say '7. At the site, verify the bundle.'
run verify site-a.tar

say '8. Start the registry of the site, which is empty.'
serve harbor --writable --listen 127.0.0.1:0
harbor=$address

say '9. Push the bundle. It is not unpacked.'
run push site-a.tar "$harbor"

say '10. Push it again. Nothing is uploaded twice.'
run push site-a.tar "$harbor" 2>again.txt || fail "$(cat again.txt)"
cat again.txt
grep -q '^pushed 4 images (4 unchanged)' again.txt || fail 'the second push uploaded something'

say '11. Pull from the registry of the site, and compare the images with the selection.'
echo '$ tar -xf site-a.tar images-list.txt'
tar -xf site-a.tar images-list.txt
run pull images-list.txt --store back --source "$harbor" --platform all
run verify back
echo '$ hod ls site-a >sent; hod ls back >received; cmp sent received'
"$hod" --quiet ls site-a >sent
"$hod" --quiet ls back >received
cmp sent received || fail 'the images differ'

say '12. Pack it into two smaller volumes. The bundle also contains hod and an installer.'
size=$(($(wc -c <site-a.tar) - 65536))
run pack site-a --output cd.tar --volume-size "$size"
echo '$ ls -l cd.*.tar'
ls -l cd.*.tar
[ -e cd.002.tar ] && [ ! -e cd.003.tar ] || fail 'expected two volumes'

say '13. Install it at another site, which has a registry but no hod.'
serve site-b --writable --listen 127.0.0.1:0
site=$address
mkdir media
mv cd.001.tar cd.002.tar media
echo '$ tar -xf media/cd.001.tar -C media install.sh'
tar -xf media/cd.001.tar -C media install.sh
if ! tar -tf media/cd.001.tar | grep -q '^hod/bin/'; then
    echo 'This hod is not static, so the bundle does not contain it; HOD names it for the installer.'
    HOD=$hod
    export HOD
fi
echo "$ sh media/install.sh --registry $site"
sh media/install.sh --registry "$site"

say '14. Pull from that registry, and compare the images again.'
run pull images-list.txt --store installed --source "$site" --platform all
"$hod" --quiet ls installed >installed.txt
cmp sent installed.txt || fail 'the installed images differ'

say "All digests are unchanged. The demo took $(($(date +%s) - started)) s; its files are removed."
