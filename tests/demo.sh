#!/bin/sh
# Carries the images of fixtures/images-list.txt all the way: out of one registry, through a bundle,
# into another. Both registries are hod's own, on this machine; nothing else is needed, and nothing
# is left behind. `make demo` runs it; HOD names the program.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
hod=${HOD:-$root/target/release/hod}
if ! command -v "$hod" >/dev/null; then
    echo "tests/demo.sh: there is no program \`$hod\`; build it with \`make build\`" >&2
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

# All goes to one stream, so that it stays in order.
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

# Says what comes next.
say() {
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

# Runs hod, and shows the command as it would be typed.
run() {
    printf '$ hod %s\n' "$*"
    "$hod" "$@"
}

# Starts a server and sets `address` to where it listens.
serve() {
    printf '$ hod serve %s &\n' "$*"
    rm -f ready
    mkfifo ready
    "$hod" serve "$@" >ready 2>serve.log &
    servers="$servers $!"
    # The first line of a server says where it listens; one that dies says nothing.
    read -r url <ready || fail "$(cat serve.log)"
    echo "$url"
    address=${url#http://}
}

started=$(date +%s)

say '1. A registry with the images of a small product.'
serve fixtures/registry --listen 127.0.0.1:0
source=$address

say '2. A list says what to carry.'
echo '$ cat fixtures/images-list.txt'
cat fixtures/images-list.txt

say '3. Pull it into a store. What images share is fetched once.'
run pull fixtures/images-list.txt --store store --source "$source" --platform linux/amd64

say '4. What is in the store?'
run ls store

say '5. One site needs the core only. Its blobs are hardlinks: they cost no space.'
run select fixtures/images-list.txt --section core --store store --output site-a

say '6. Pack it into one file, which is what goes over the air gap.'
run pack site-a --output site-a.tar
echo '$ ls -l site-a.tar'
ls -l site-a.tar

say '7. At the site: has it arrived whole?'
run verify site-a.tar

say '8. The registry of the site, with nothing in it yet.'
serve harbor --writable --listen 127.0.0.1:0
harbor=$address

say '9. Push the bundle, which is not unpacked for that.'
run push site-a.tar "$harbor"

say '10. Push it again: nothing is uploaded twice.'
run push site-a.tar "$harbor" 2>again.txt || fail "$(cat again.txt)"
cat again.txt
grep -q '^pushed 4 images (4 unchanged)' again.txt || fail 'something was pushed twice'

say '11. Pull from the registry of the site, and compare with what was packed.'
echo '$ tar -xf site-a.tar images-list.txt'
tar -xf site-a.tar images-list.txt
run pull images-list.txt --store back --source "$harbor" --platform all
run verify back
echo '$ hod ls site-a >left; hod ls back >arrived; cmp left arrived'
"$hod" --quiet ls site-a >left
"$hod" --quiet ls back >arrived
cmp left arrived || fail 'what arrived is not what left'

say '12. The same for two smaller media. The bundle carries the tool and an installer.'
size=$(($(wc -c <site-a.tar) - 65536))
run pack site-a --output cd.tar --volume-size "$size"
echo '$ ls -l cd.*.tar'
ls -l cd.*.tar
[ -e cd.002.tar ] && [ ! -e cd.003.tar ] || fail 'two volumes were to be made'

say '13. At another site there is a registry, and nothing else: no hod, no images.'
serve site-b --writable --listen 127.0.0.1:0
site=$address
mkdir media
mv cd.001.tar cd.002.tar media
echo '$ tar -xf media/cd.001.tar -C media install.sh'
tar -xf media/cd.001.tar -C media install.sh
if ! tar -tf media/cd.001.tar | grep -q '^hod/bin/'; then
    echo 'This hod is not static, so the bundle does not contain it; the demo uses it in its place.'
    HOD=$hod
    export HOD
fi
echo "$ sh media/install.sh --registry $site"
sh media/install.sh --registry "$site"

say '14. What the installer brought is what was packed.'
run pull images-list.txt --store installed --source "$site" --platform all
"$hod" --quiet ls installed >installed.txt
cmp left installed.txt || fail 'what was installed is not what left'

say "Every digest arrived unchanged, in $(($(date +%s) - started)) s. All of it is removed again."
