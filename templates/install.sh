#!/bin/sh
# Pushes the images of the bundle that contains this script into a registry; see `sh install.sh --help`.
# Requires a POSIX shell, `tar` and `sha256sum`; BusyBox is enough. Changes nothing but the
# registry, its own log, and the directory of `--data`.
set -u

title={{ title|sh }}
stem={{ stem|sh }}
tool_version={{ tool_version|sh }}

usage() {
    cat <<'USAGE'
usage: sh install.sh --registry HOST[/PREFIX] [OPTION]... [-- OPTION OF hod push...]
       sh install.sh --serve [ADDRESS:PORT] [OPTION]... [-- OPTION OF hod serve...]

Verifies the bundle, then pushes its images into a registry. You can run it again: images that the
registry already has are not sent again.

Target (the variable in parentheses sets the same):
  --registry HOST[/PREFIX]  the registry, and a prefix for all names (HOD_INSTALL_REGISTRY)
  --project NAME            put all images into this project (HOD_INSTALL_PROJECT)
  --create-projects[=public]
                            create missing projects in Harbor
                            (HOD_INSTALL_CREATE_PROJECTS=private, or =public)
  --rename 'FROM/*=TO/*'    rename matching images; may be given several times
                            (HOD_INSTALL_RENAME, separated by spaces)
  --strip-host              remove the registry from names: quay.io/a/b becomes a/b
                            (HOD_INSTALL_STRIP_HOST=1)

Connection:
  --creds-stdin             read the login, user:password, from the first line of stdin
                            (or set HOD_TARGET_USERNAME and HOD_TARGET_PASSWORD; an existing login of
                            docker or podman is used too)
  --ca FILE                 trust this CA certificate, in PEM (HOD_INSTALL_CA)
  --insecure                do not verify the certificate of the registry (HOD_INSTALL_INSECURE=1)
  --plain-http              use HTTP, without TLS (HOD_INSTALL_PLAIN_HTTP=1)

Action:
  --dry-run                 show what would be pushed, and change nothing (HOD_INSTALL_DRY_RUN=1)
  --skip-verify             do not verify the whole bundle first; every byte is still verified while it
                            is pushed (HOD_INSTALL_SKIP_VERIFY=1)
  --verify-key FILE         accept the bundle only if it is signed with this key; get the key through
                            another channel than the bundle (HOD_INSTALL_VERIFY_KEY)
  --serve [ADDRESS:PORT]    serve the bundle as a read-only registry until Ctrl-C, if the site has no
                            registry; the default is 127.0.0.1:5000 (HOD_INSTALL_SERVE)
  --data DIR                with --serve: unpack into DIR first and serve DIR; `-- --writable` accepts
                            pushes too (HOD_INSTALL_DATA)

Files:
  --bundle FILE             the bundle, or any of its volumes (HOD_INSTALL_BUNDLE); by default it is
                            looked for beside this script and in the current directory
  --volume-dir DIR          directory with further volumes; may be given several times
                            (HOD_INSTALL_VOLUME_DIR)
  --log FILE                also write the output to this file (HOD_INSTALL_LOG); by default
                            install.log beside this script, or in the current or home directory

HOD=FILE runs this hod instead of the one in the bundle.

Exit codes: 0 done, 1 failed, 2 usage error, 3 some images failed, the rest are done, 4 content did
not verify, 5 refused before anything was changed, 130 interrupted.
USAGE
}

# Prints the digest of the bundle's hod for an architecture, or fails if it has none.
tool_digest() {
    case $1 in
{%- for tool in tools %}
        {{ tool.arch }}) echo {{ tool.sha256 }} ;;
{%- endfor %}
        *) return 1 ;;
    esac
}
tool_arches={{ arches|sh }}

log=''
scratch=''

say() {
    printf '%s\n' "$1"
    if [ -n "$log" ]; then
        printf '%s\n' "$1" >>"$log"
    fi
}

# Prints an error and a hint, and exits: fail CODE MESSAGE [HINT].
fail() {
    say "error: $2" >&2
    if [ -n "${3:-}" ]; then
        say "
hint: $3" >&2
    fi
    exit "$1"
}

clean_up() {
    if [ -n "$scratch" ]; then
        rm -rf -- "$scratch"
    fi
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Succeeds if a program exists and runs. Some busyboxes report applets as present that have no file.
has() {
    command -v "$1" >/dev/null 2>&1 || return 1
    "$1" --help </dev/null >/dev/null 2>&1
    [ $? -lt 126 ]
}

# Sets `quoted` to $1, quoted for eval.
quote() {
    quoted=''
    rest=$1
    while :; do
        case $rest in
            *\'*)
                quoted="$quoted${rest%%\'*}'\\''"
                rest=${rest#*\'}
                ;;
            *) break ;;
        esac
    done
    quoted="'$quoted$rest'"
}

# Quoted options of hod: for all commands that read the bundle, for the push, and those after `--`.
reading=''
pushing=''
further=''

add_reading() {
    quote "$2"
    reading="$reading $1 $quoted"
}

add_pushing() {
    quote "$2"
    pushing="$pushing $1 $quoted"
}

is_on() {
    case $1 in
        '' | 0 | no | false) return 1 ;;
        *) return 0 ;;
    esac
}

case $0 in
    /*/*) here=${0%/*} ;;
    */*) here=${0%/*}/ ;;
    *) here=. ;;
esac
here=$(CDPATH='' cd -- "$here" && pwd) || exit 1
here=${here%/}

registry=${HOD_INSTALL_REGISTRY:-{{ (set.registry|default(""))|sh }}}
project=${HOD_INSTALL_PROJECT:-{{ (set.project|default(""))|sh }}}
create_projects=${HOD_INSTALL_CREATE_PROJECTS:-}
registry_given=''
serve_given=''
renames=''
strip_host=${HOD_INSTALL_STRIP_HOST:-}
creds_stdin=''
ca=${HOD_INSTALL_CA:-}
insecure=${HOD_INSTALL_INSECURE:-}
plain_http=${HOD_INSTALL_PLAIN_HTTP:-}
dry_run=${HOD_INSTALL_DRY_RUN:-}
skip_verify=${HOD_INSTALL_SKIP_VERIFY:-}
verify_key=${HOD_INSTALL_VERIFY_KEY:-}
serve=${HOD_INSTALL_SERVE:-}
data=${HOD_INSTALL_DATA:-}
bundle=${HOD_INSTALL_BUNDLE:-}
volume_dirs=''
log_file=${HOD_INSTALL_LOG:-}

while [ $# -gt 0 ]; do
    word=$1
    shift
    case $word in
        --)
            for option; do
                quote "$option"
                further="$further $quoted"
            done
            break
            ;;
        --create-projects=*) ;;
        --?*=*)
            # Read as two words.
            set -- "${word#*=}" "$@"
            word=${word%%=*}
            ;;
    esac
    case $word in
        --registry | --project | --rename | --ca | --verify-key | --data | --bundle | --volume-dir | --log)
            [ $# -gt 0 ] || fail 2 "\`$word\` requires a value" 'For all options, run: sh install.sh --help'
            value=$1
            shift
            ;;
    esac
    case $word in
        -h | --help)
            usage
            exit 0
            ;;
        --registry)
            registry=$value
            registry_given=1
            ;;
        --project) project=$value ;;
        --create-projects) create_projects=private ;;
        --create-projects=*) create_projects=${word#*=} ;;
        --rename)
            add_pushing --rename "$value"
            renames=given
            ;;
        --strip-host) strip_host=1 ;;
        --creds-stdin) creds_stdin=1 ;;
        --ca) ca=$value ;;
        --insecure) insecure=1 ;;
        --plain-http) plain_http=1 ;;
        --dry-run) dry_run=1 ;;
        --skip-verify) skip_verify=1 ;;
        --verify-key) verify_key=$value ;;
        --serve)
            serve=127.0.0.1:5000
            serve_given=1
            case ${1:-} in
                *:*)
                    serve=$1
                    shift
                    ;;
            esac
            ;;
        --data) data=$value ;;
        --bundle) bundle=$value ;;
        --volume-dir)
            add_reading --volume-dir "$value"
            volume_dirs="$volume_dirs$value
"
            ;;
        --log) log_file=$value ;;
        *) fail 2 "unknown option \`$word\`" 'For all options, run: sh install.sh --help' ;;
    esac
done

if [ -z "$registry" ] && [ -z "$serve" ]; then
    usage >&2
    exit 2
fi
if [ -n "$registry_given" ]; then
    [ -z "$serve_given" ] ||
        fail 2 "\`--registry\` and \`--serve\` cannot be combined" 'Push to a registry, or serve the bundle.'
    serve=''
fi
if [ -n "$data" ] && [ -z "$serve" ]; then
    fail 2 "\`--data\` requires \`--serve\`" 'For all options, run: sh install.sh --help'
fi
if [ -z "$volume_dirs" ] && [ -n "${HOD_INSTALL_VOLUME_DIR:-}" ]; then
    add_reading --volume-dir "$HOD_INSTALL_VOLUME_DIR"
    volume_dirs=$HOD_INSTALL_VOLUME_DIR
fi
if [ -z "$renames" ]; then
    set -f
    # shellcheck disable=SC2086  # several in one variable
    for rule in ${HOD_INSTALL_RENAME:-}; do
        add_pushing --rename "$rule"
    done
    set +f
fi
[ -z "$verify_key" ] || add_reading --verify-key "$verify_key"
[ -z "$project" ] || add_pushing --project "$project"
[ -z "$ca" ] || add_pushing --ca "$ca"
if is_on "$insecure"; then add_pushing --insecure "${registry%%/*}"; fi
if is_on "$plain_http"; then add_pushing --plain-http "${registry%%/*}"; fi
if is_on "$strip_host"; then pushing="$pushing --strip-host"; fi
if is_on "$create_projects"; then
    case $create_projects in
        public | private) pushing="$pushing --create-projects=$create_projects" ;;
        1 | yes | true) pushing="$pushing --create-projects" ;;
        *) fail 2 "\`--create-projects\` takes \`private\` or \`public\`, not \`$create_projects\`" ;;
    esac
fi
[ -z "$creds_stdin" ] || pushing="$pushing --creds-stdin"
pushing="$pushing$further"

# ---- The log, which gets all output from here on.

can_append() {
    [ ! -d "$1" ] && (: >>"$1") 2>/dev/null
}

if [ -n "$log_file" ]; then
    can_append "$log_file" || fail 1 "cannot write the log \`$log_file\`" 'Choose another file with --log.'
    log=$log_file
else
    for dir in "$here" "$PWD" "${HOME:-/root}"; do
        if can_append "$dir/install.log"; then
            log=$dir/install.log
            break
        fi
    done
fi
say "$title: install.sh of hod $tool_version$(has date && date '+, %Y-%m-%d %H:%M:%S %z' 2>/dev/null)"
if [ -n "$log" ]; then
    say "This output is also written to $log"
else
    say 'No log is written: no directory for it is writable; choose a file with --log'
fi

# ---- The bundle.

# Sets `bundle` to the bundle, or to its first volume, in directory $1.
find_bundle() {
    for file in "$1/$stem.tar" "$1/$stem.tar.zst" "$1/$stem".[0-9][0-9][0-9]*.tar; do
        if [ -f "$file" ]; then
            bundle=$file
            return 0
        fi
    done
    return 1
}

if [ -n "$bundle" ]; then
    [ -f "$bundle" ] || fail 5 "bundle \`$bundle\` not found"
elif ! find_bundle "$here" && ! find_bundle "$PWD"; then
    while IFS= read -r dir; do
        if [ -n "$dir" ] && find_bundle "$dir"; then
            break
        fi
    done <<DIRS
$volume_dirs
DIRS
fi
if [ -z "$bundle" ]; then
    searched=${here:-/}
    [ "$searched" = "$PWD" ] || searched="$searched or $PWD"
    fail 5 "$stem.tar or $stem.001.tar not found in $searched" \
        'Name the bundle, or any of its volumes, with --bundle FILE.'
fi

# ---- The tool.

digest_of() {
    if has sha256sum; then
        sum=$(sha256sum <"$1")
    elif has busybox; then
        sum=$(busybox sha256sum <"$1")
    elif has shasum; then
        sum=$(shasum -a 256 <"$1")
    else
        fail 5 'sha256sum not found; it is required to verify the hod in the bundle' \
            'To run a hod that you trust instead: HOD=FILE sh install.sh ...'
    fi
    sum=${sum%% *}
}

# Sets `scratch` to a new private directory in which programs can run.
make_scratch() {
    refused=''
    for dir in "${TMPDIR:-/tmp}" /tmp /var/tmp "${HOME:-/root}" "$PWD" "$here" /dev/shm /run; do
        [ -d "$dir" ] || continue
        if has mktemp; then
            scratch=$(mktemp -d "$dir/hod-install.XXXXXX" 2>/dev/null) || scratch=''
        else
            scratch=$dir/hod-install.$$
            (umask 077 && mkdir -- "$scratch") 2>/dev/null || scratch=''
        fi
        [ -n "$scratch" ] || continue
        printf '#!/bin/sh\n' >"$scratch/probe" 2>/dev/null
        chmod 700 "$scratch/probe" 2>/dev/null
        if "$scratch/probe" 2>/dev/null; then
            rm -f -- "$scratch/probe"
            return 0
        fi
        refused="$refused $dir"
        rm -rf -- "$scratch"
        scratch=''
    done
    fail 1 "no directory found from which hod can run${refused:+; unusable (full, or mounted noexec):$refused}" \
        'Set TMPDIR to a directory with 30 MB free, on a file system that is not mounted noexec.'
}

# Prints member $2 of the bundle or volume $1.
extract() {
    case $bundle in
        *.zst)
            if has zstd; then
                zstd -dcq <"$1" | tar -xOf - "$2"
            else
                tar --zstd -xOf "$1" "$2"
            fi
            ;;
        *) tar -xOf "$1" "$2" ;;
    esac
}

# Sets `tool_volume` to the first volume, which contains the tools.
find_tool_volume() {
    tool_volume=$bundle
    name=${bundle##*/}
    case $bundle in
        */*) dir=${bundle%/*} ;;
        *) dir=. ;;
    esac
    number=${name%.tar}
    number=${number##*.}
    case $number in
        [0-9][0-9][0-9]*) ;;
        *) return 0 ;;
    esac
    base=${name%".$number.tar"}
    while IFS= read -r dir; do
        [ -n "$dir" ] || continue
        for first in "$dir/$base".*1.tar; do
            zeros=${first%1.tar}
            zeros=${zeros##*.}
            if [ -f "$first" ] && [ -z "$(printf '%s' "$zeros" | tr -d 0)" ]; then
                tool_volume=$first
                return 0
            fi
        done
    done <<DIRS
$dir
$here
$PWD
$volume_dirs
DIRS
}

# Sets `hod` to the bundle's program for this machine, after verifying it.
find_tool() {
    machine=$(uname -m)
    case $machine in
        x86_64 | amd64) arch=amd64 ;;
        aarch64 | arm64) arch=arm64 ;;
        armv* | arm) arch=arm ;;
        i?86) arch=386 ;;
        loongarch64) arch=loong64 ;;
        *) arch=$machine ;;
    esac
    expected=$(tool_digest "$arch") || fail 5 \
        "the bundle contains no hod for $machine${tool_arches:+, only for $tool_arches}" \
        'Bring a hod for this machine, and run: HOD=FILE sh install.sh ...'
    member=hod/bin/hod-linux-$arch
    hod=$here/$member
    if [ -f "$hod" ]; then
        digest_of "$hod"
        [ "$sum" = "$expected" ] || fail 4 "$hod is not the hod of this bundle: expected sha256 $expected, found $sum" \
            'Remove the file, and run this script again: it then uses the hod in the bundle.'
        if "$hod" --version >/dev/null 2>&1; then
            return 0
        fi
        # The file system may be mounted noexec, or may not support execute permissions.
        make_scratch
        cat <"$hod" >"$scratch/hod" || fail 1 "cannot copy hod to $scratch"
    else
        has tar || fail 5 'tar not found; it is required to extract hod from the bundle' \
            "Extract $member on another machine, and run: HOD=$member sh install.sh ..."
        find_tool_volume
        make_scratch
        extract "$tool_volume" "$member" >"$scratch/hod" || fail 5 \
            "failed to extract $member from $tool_volume" \
            'This requires the first volume and 30 MB free in TMPDIR, and for a .zst also zstd.'
        digest_of "$scratch/hod"
        [ "$sum" = "$expected" ] || fail 4 "$member in $tool_volume is damaged: expected sha256 $expected, found $sum" \
            'Copy the bundle again from its source.'
    fi
    hod=$scratch/hod
    chmod 700 "$hod"
    said=$("$hod" --version 2>&1) || fail 1 "the hod of the bundle does not run on this machine: $said"
}

if [ -n "${HOD:-}" ]; then
    hod=$HOD
    command -v "$hod" >/dev/null 2>&1 || fail 5 "program \`$hod\`, named by HOD, not found"
else
    find_tool
fi

# ---- Verify, push or serve.

# The first line of stdin, passed to each run of hod that requires the login.
creds=''
if [ -n "$creds_stdin" ]; then
    IFS= read -r creds || [ -n "$creds" ] || fail 2 "\`--creds-stdin\` requires a login on stdin, but stdin is empty"
fi

give_creds() {
    if [ -n "$creds_stdin" ]; then
        printf '%s\n' "$creds" | "$@"
    else
        "$@"
    fi
}

exec 3>&1

# Copies stdin to the terminal and the log. Ignores interrupts, so that the last output of an interrupted
# hod is kept.
copy_to_log() {
    trap '' HUP INT TERM
    if has tee; then
        tee -a -- "$log"
    else
        while IFS= read -r line || [ -n "$line" ]; do
            say "$line"
        done
    fi
}

# Runs hod with these arguments and sets `status` to its exit code.
run() {
    say "
\$ hod $*"
    if [ -z "$log" ]; then
        trap : INT
        give_creds "$hod" "$@" 2>&1
        status=$?
        trap 'exit 130' INT
        return 0
    fi
    # The status of a pipeline is that of its last command, so the status of hod is passed through
    # descriptor 4. On Ctrl-C, every shell in between waits for hod to clean up.
    status=$(
        trap : INT HUP TERM
        {
            {
                trap : INT HUP TERM
                give_creds "$hod" "$@" 2>&1 3>&- 4>&-
                echo $? >&4
            } | copy_to_log >&3 3>&- 4>&-
        } 4>&1
    )
}

# Runs hod, and ends with its exit code if it fails.
must_run() {
    run "$@"
    [ "$status" = 0 ] || end
}

# Succeeds if the log shows that the registry answered 401 to the last command.
wants_login() {
    [ -f "$log" ] || return 1
    found=1
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            '$ hod '*) found=1 ;;
            *' 401' | *' 401 '* | *' 401:'*) found=0 ;;
        esac
    done <"$log"
    return "$found"
}

# Exits with the exit code of the last command.
end() {
    case $status in
        '' | *[!0-9]*) status=1 ;;
    esac
    say "
install.sh ends with exit code $status${log:+; the log is $log}"
    if [ -n "$registry" ] && [ -z "$creds_stdin" ] && wants_login; then
        say "
hint: The registry requires a login. Write USER:PASSWORD into login.txt (mode 600), and run:
      sh install.sh ... --creds-stdin <login.txt
      (This replaces \`hod login\`, which requires an installed hod.)"
    fi
    exit "$status"
}

quote "$bundle"
bundle_word=$quoted
quote "$registry"
registry_word=$quoted

if [ -n "$serve" ]; then
{%- if n_base %}
    [ -n "$data" ] || fail 5 'this bundle is a delta: it requires an earlier bundle and cannot be served alone' \
        'Install the earlier bundle with --data DIR first, then this one with the same directory.'
{%- endif %}
    quote "$serve"
    listen="--listen $quoted"
    creds_stdin=''
    is_on "$skip_verify" || eval "must_run verify $bundle_word $reading"
    if is_on "$dry_run"; then
        say "Dry run: nothing was served"
        exit 0
    fi
    if [ -n "$data" ]; then
        quote "$data"
        eval "must_run unpack $bundle_word --output $quoted $reading"
        eval "must_run serve $quoted $listen $further"
    else
        eval "must_run serve $bundle_word $listen $reading $further"
    fi
    exit 0
fi

# The dry run finds problems before the whole bundle is read.
if is_on "$dry_run"; then
    eval "must_run push $bundle_word $registry_word --dry-run $reading $pushing"
elif ! is_on "$skip_verify"; then
{%- if kind == "volumes" %}
    eval "run push $bundle_word $registry_word --dry-run $reading $pushing"
    # Exit code 3 usually means that some images wait for other volumes: the others are pushed, and the
    # result of each is printed at the end.
    case $status in
        0) ;;
        3)
            say "
install.sh continues with the images that can be pushed"
            ;;
        *) end ;;
    esac
{%- else %}
    eval "must_run push $bundle_word $registry_word --dry-run $reading $pushing"
{%- endif %}
fi
if ! is_on "$skip_verify"; then
    creds_kept=$creds_stdin
    creds_stdin=''
    eval "must_run verify $bundle_word{{ " --partial" if kind == "volumes" }} $reading"
    creds_stdin=$creds_kept
fi
if is_on "$dry_run"; then
    say "
Dry run: nothing was changed"
    exit 0
fi
eval "must_run push $bundle_word $registry_word $reading $pushing"
say "
Done: $title is in $registry"
