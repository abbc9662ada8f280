#!/bin/sh
# Fills a registry from the bundle that this script comes out of. `sh install.sh --help` says how.
# Needs a POSIX shell, `tar` and `sha256sum`; busybox will do. Changes nothing but the registry, its
# log, and the directory that `--data` names.
set -u

title={{ title|sh }}
stem={{ stem|sh }}
tool_version={{ tool_version|sh }}

usage() {
    cat <<'USAGE'
usage: sh install.sh --registry HOST[/PREFIX] [OPTION]... [-- OPTION OF hod push...]
       sh install.sh --serve [ADDRESS:PORT] [OPTION]... [-- OPTION OF hod serve...]

Checks the bundle, then pushes its images into a registry. Running it again is safe: what is there
already is not sent again.

Where to (each also from the variable in parentheses):
  --registry HOST[/PREFIX]  the registry, and a prefix for all names (HOD_INSTALL_REGISTRY)
  --project NAME            put everything into this project (HOD_INSTALL_PROJECT)
  --create-projects[=public]
                            create missing projects at a Harbor
                            (HOD_INSTALL_CREATE_PROJECTS=private, or =public)
  --rename 'FROM/*=TO/*'    rename what matches; may be given several times
                            (HOD_INSTALL_RENAME, separated by spaces)
  --strip-host              remove the registry from names: quay.io/a/b becomes a/b
                            (HOD_INSTALL_STRIP_HOST=1)

How to reach it:
  --creds-stdin             take the login from the first line of stdin, user:password
                            (or set HOD_TARGET_USERNAME and HOD_TARGET_PASSWORD, or use a login that
                            docker, podman or `hod login` keeps)
  --ca FILE                 trust this CA, PEM (HOD_INSTALL_CA)
  --insecure                do not verify the registry's certificate (HOD_INSTALL_INSECURE=1)
  --plain-http              speak HTTP with the registry (HOD_INSTALL_PLAIN_HTTP=1)

What to do:
  --dry-run                 say what would be pushed, and change nothing (HOD_INSTALL_DRY_RUN=1)
  --skip-verify             do not read the whole bundle first; every byte is verified again while
                            it is pushed (HOD_INSTALL_SKIP_VERIFY=1)
  --verify-key FILE         accept the bundle only if it is signed with this key, which must have come
                            another way than the bundle (HOD_INSTALL_VERIFY_KEY)
  --serve [ADDRESS:PORT]    be the registry of a site that has none, until Ctrl-C: read-only, straight
                            from the bundle; 127.0.0.1:5000 by default (HOD_INSTALL_SERVE)
  --data DIR                with --serve: unpack into DIR first and serve that; with `-- --writable`
                            it accepts pushes too (HOD_INSTALL_DATA)

Where things are:
  --bundle FILE             the bundle, or any of its volumes (HOD_INSTALL_BUNDLE); by default beside
                            this script, or here
  --volume-dir DIR          where more of its volumes are; may be given several times
                            (HOD_INSTALL_VOLUME_DIR)
  --log FILE                write what is said to this file too (HOD_INSTALL_LOG); by default
                            install.log beside this script, here, or in the home directory

HOD=FILE runs this hod in place of the one that the bundle carries.

Exit codes: 0 done, 1 failed, 2 usage, 3 some images failed and the rest are done, 4 content did not
verify, 5 refused before starting, 130 interrupted.
USAGE
}

# Prints the digest of the carried hod for an architecture, or fails when there is none.
tool_digest() {
    case $1 in
{%- for tool in tools %}
        {{ tool.arch }}) echo {{ tool.sha256 }} ;;
{%- endfor %}
        *) return 1 ;;
    esac
}
carried={{ arches|sh }}

log=''
scratch=''

say() {
    printf '%s\n' "$1"
    if [ -n "$log" ]; then
        printf '%s\n' "$1" >>"$log"
    fi
}

# Says what is wrong, what to do about it, and ends with an exit code: fail CODE WHAT [HINT].
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

# Whether a program is there. Some busyboxes say so of all that they could be, in a root that has them
# under no name.
has() {
    command -v "$1" >/dev/null 2>&1 || return 1
    "$1" --help </dev/null >/dev/null 2>&1
    [ $? -lt 126 ]
}

# Sets `quoted` to a word that eval reads as $1.
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

# Options of hod, quoted: for every reading of the bundle, and for the push.
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
            [ $# -gt 0 ] || fail 2 "\`$word\` needs a value" 'sh install.sh --help'
            value=$1
            shift
            ;;
    esac
    case $word in
        -h | --help)
            usage
            exit 0
            ;;
        --registry) registry=$value ;;
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
        *) fail 2 "there is no option \`$word\`" 'sh install.sh --help' ;;
    esac
done

if [ -z "$registry" ] && [ -z "$serve" ]; then
    usage >&2
    exit 2
fi
if [ -n "$data" ] && [ -z "$serve" ]; then
    fail 2 '--data goes with --serve' 'sh install.sh --help'
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
        *) fail 2 "projects are created \`private\` or \`public\`, not \`$create_projects\`" ;;
    esac
fi
[ -z "$creds_stdin" ] || pushing="$pushing --creds-stdin"
pushing="$pushing$further"

# ---- The log: what is said from here on is in it too.

can_append() {
    [ ! -d "$1" ] && (: >>"$1") 2>/dev/null
}

if [ -n "$log_file" ]; then
    can_append "$log_file" || fail 1 "cannot write the log \`$log_file\`" 'name another file with --log'
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
    say 'There is no place for a log; name one with --log FILE'
fi

# ---- The bundle.

# Sets `bundle` to the bundle, or to the first of its volumes, in a directory.
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
    [ -f "$bundle" ] || fail 5 "there is no bundle \`$bundle\`"
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
    fail 5 "neither $stem.tar nor $stem.001.tar is in $searched" \
        'name the bundle, or any of its volumes, with --bundle FILE'
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
        fail 5 'there is no sha256sum here, so that the carried hod cannot be checked' \
            'to run a hod that you trust without the check: HOD=FILE sh install.sh ...'
    fi
    sum=${sum%% *}
}

# Sets `scratch` to a new directory of ours in which programs can be run.
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
    fail 1 "there is no directory to run the carried hod from${refused:+; no program can run in:$refused (full, or mounted noexec)}" \
        'set TMPDIR to a directory with some room on a file system that is not mounted noexec'
}

# Prints a member of the archive that has the tool.
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

# Sets `tool_volume` to the volume that carries the tools: the first.
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

# Sets `hod` to the carried program for this machine, checked.
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
        "the bundle carries no hod for $machine${carried:+, only for $carried}" \
        "bring a hod for this machine, and run: HOD=FILE sh install.sh ..."
    member=hod/bin/hod-linux-$arch
    hod=$here/$member
    if [ -f "$hod" ]; then
        digest_of "$hod"
        [ "$sum" = "$expected" ] || fail 4 "$hod is not the hod that was packed: its sha256 is $sum, not $expected" \
            'remove it: this script takes the one in the bundle then'
        if "$hod" --version >/dev/null 2>&1; then
            return 0
        fi
        # On a file system that is mounted noexec, or that knows no such permission.
        make_scratch
        cat <"$hod" >"$scratch/hod" || fail 1 "cannot copy hod to $scratch"
    else
        has tar || fail 5 'there is no tar here to take hod out of the bundle with' \
            "unpack $member elsewhere, and run: HOD=$member sh install.sh ..."
        find_tool_volume
        make_scratch
        extract "$tool_volume" "$member" >"$scratch/hod" || fail 5 \
            "cannot take $member out of $tool_volume" \
            'the first volume is needed for that, and room for 30 MB in TMPDIR; a .zst needs zstd too'
        digest_of "$scratch/hod"
        [ "$sum" = "$expected" ] || fail 4 "$member in $tool_volume is damaged: its sha256 is $sum, not $expected" \
            'copy the bundle again from where it was made'
    fi
    hod=$scratch/hod
    chmod 700 "$hod"
    said=$("$hod" --version 2>&1) || fail 1 "the carried hod does not run here: $said"
}

if [ -n "${HOD:-}" ]; then
    hod=$HOD
    command -v "$hod" >/dev/null 2>&1 || fail 5 "there is no program \`$hod\`, which HOD names"
else
    find_tool
fi

# ---- The work.

# The first line of stdin, which every run of hod that asks for a login gets.
creds=''
if [ -n "$creds_stdin" ]; then
    IFS= read -r creds || [ -n "$creds" ] || fail 2 'there is no login on stdin, which --creds-stdin asks for'
fi

give_creds() {
    if [ -n "$creds_stdin" ]; then
        printf '%s\n' "$creds" | "$@"
    else
        "$@"
    fi
}

exec 3>&1

# Copies to the terminal and the log. It is hod that an interrupt ends; this waits for its last words.
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
    # A pipeline's status is that of its last command, so that hod's goes another way. On Ctrl-C every
    # shell in between waits for hod, which finishes what it should not leave.
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

# The same, and ends with its exit code if that is not 0.
must_run() {
    run "$@"
    [ "$status" = 0 ] || end
}

# Whether the command that was run last was told 401 by the registry, as the log has it.
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

# Ends with the exit code of the command that was run last.
end() {
    case $status in
        '' | *[!0-9]*) status=1 ;;
    esac
    say "
install.sh ends with the exit code $status of this command${log:+; the log is $log}"
    if [ -n "$registry" ] && [ -z "$creds_stdin" ] && wants_login; then
        say "No login was given, and the registry requires one: run install.sh again with --creds-stdin and
the line USER:PASSWORD on stdin, from a file: sh install.sh ... --creds-stdin <login.txt
(\`hod login\`, where it is advised above, requires a hod that is installed.)"
    fi
    exit "$status"
}

quote "$bundle"
bundle_word=$quoted
quote "$registry"
registry_word=$quoted

if [ -n "$serve" ]; then
{%- if n_base %}
    [ -n "$data" ] || fail 5 'this bundle is a delta: it requires an earlier one and cannot be served alone' \
        'unpack the earlier bundle and this one into a directory, --data DIR'
{%- endif %}
    quote "$serve"
    listen="--listen $quoted"
    creds_stdin=''
    is_on "$skip_verify" || eval "must_run verify $bundle_word $reading"
    if is_on "$dry_run"; then
        say "Nothing was served: it was a dry run"
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

# What would stop the push is found before the whole bundle is read.
if is_on "$dry_run"; then
    eval "must_run push $bundle_word $registry_word --dry-run $reading $pushing"
elif ! is_on "$skip_verify"; then
{%- if kind == "volumes" %}
    eval "run push $bundle_word $registry_word --dry-run $reading $pushing"
    # Some images wait for volumes that are not here yet, most likely: the others are pushed all the
    # same, and what becomes of each is said at the end.
    case $status in
        0) ;;
        3)
            say "
install.sh goes on with what can be pushed by what is here"
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
$title is in $registry"
