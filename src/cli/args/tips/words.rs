//! The words of other tools, and of hod's other verbs, with the tip for each.

/// A tip for some words, after some verbs or after any.
pub(super) struct Tip {
    /// The verbs that the tip is for; none means all of them.
    pub(super) after: &'static [&'static str],
    pub(super) words: &'static [&'static str],
    pub(super) text: &'static str,
}

const fn tip(words: &'static [&'static str], text: &'static str) -> Tip {
    after(&[], words, text)
}

const fn after(
    after: &'static [&'static str],
    words: &'static [&'static str],
    text: &'static str,
) -> Tip {
    Tip { after, words, text }
}

pub(super) const VERBS: &[Tip] = &[
    tip(
        &["cp", "sync", "mirror"],
        "`hod copy SRC REGISTRY` copies images between registries, and `hod pull LIST --store STORE` \
         into a store",
    ),
    tip(
        &[
            "inspect", "list", "images", "show", "info", "manifest", "digest",
        ],
        "`hod ls SRC` lists the images of a registry, store or bundle, and `hod why DIGEST SRC` what \
         uses a blob",
    ),
    tip(
        &["list-tags", "tags", "search", "catalog", "repositories"],
        "`hod ls REGISTRY[/PREFIX]` lists the images of a registry, each with its tag",
    ),
    tip(
        &["tag", "retag", "rename"],
        "`--rename 'OLD/*=NEW/*'` of push, pack, select and export renames images, and so does a \
         second column in a list",
    ),
    tip(
        &["delete", "rm", "rmi", "remove", "prune", "gc"],
        "hod removes no images from a store; `hod select LIST --store STORE --output TREE` makes a \
         tree without them, and with `--replace` removes them from a tree that is there",
    ),
    tip(
        &["save", "archive", "bundle-create", "create", "build"],
        "`hod pack` writes a bundle, and `hod export --format docker-archive` a file for \
         `docker load`",
    ),
    tip(
        &["load", "import", "extract"],
        "`hod unpack FILE --output STORE` makes a store of a bundle or an archive, and `hod push` \
         reads it as it is",
    ),
    tip(
        &["merge"],
        "`hod bundle merge A.tar B.tar --output FILE` merges bundles",
    ),
    tip(
        &["check", "validate", "scan"],
        "`hod verify SRC` checks everything in a registry, store or bundle; hod does not scan for \
         vulnerabilities",
    ),
    tip(
        &["sign", "attest"],
        "`hod pack --sign KEY` signs a bundle, and `hod keygen` makes the key",
    ),
    tip(
        &["ping", "status", "config", "whoami"],
        "`hod doctor REGISTRY` shows how a registry is reached, and with which login and files",
    ),
    tip(
        &["start", "run", "registry"],
        "`hod serve STORE` serves a store or bundle as a registry",
    ),
    tip(&["version"], "`hod --version` prints the version"),
];

pub(super) const FLAGS: &[Tip] = &[
    after(
        &["pull"],
        &["-o", "--output", "--dest", "-d", "--dir"],
        "`--store DIR` names the store to pull into",
    ),
    after(
        &["pull", "select", "pack"],
        &["-s"],
        "the store is named in full: `--store DIR`",
    ),
    after(
        &["unpack", "select"],
        &["--tree"],
        "`--output DIR` names the directory to write the tree to",
    ),
    after(
        &["push", "export", "verify", "serve"],
        &["--tree"],
        "the tree is the first argument, without a flag",
    ),
    after(
        &["pack"],
        &["--tree"],
        "`hod pack TREE --output FILE` packs a tree: it is an argument, without a flag",
    ),
    after(
        &["push", "pack", "export", "unpack"],
        &["--all"],
        "without a list, all images are carried: leave the flag out",
    ),
    after(
        &["copy"],
        &[
            "--all",
            "-a",
            "--multi-arch",
            "--all-platforms",
            "--all-arch",
        ],
        "every platform is copied unless `--platform` chooses some: leave the flag out",
    ),
    tip(
        &["--remove-signatures"],
        "`--no-referrers` leaves signatures and other referrers out",
    ),
    tip(
        &["--preserve-digests"],
        "digests are kept without a flag: leave it out",
    ),
    after(
        &["ls", "verify"],
        &["--all", "-a"],
        "all images are read anyway: leave the flag out",
    ),
    after(
        &["ls", "verify", "why", "diff", "doctor", "unpack", "receipt"],
        &["--format"],
        "`--json` prints the results as JSON",
    ),
    after(
        &["unpack"],
        &["--store", "--dest", "-d", "--dir", "-C"],
        "`--output DIR` names the store to unpack into",
    ),
    after(
        &["push", "export", "verify", "ls"],
        &["--store", "-i", "--input"],
        "the source is the first argument, without a flag; `--only LIST` chooses its images",
    ),
    after(
        &["push", "receipt"],
        &["--registry", "--target", "--dest", "-d", "-t"],
        "the registry is an argument, without a flag: `hod push SRC REGISTRY`, `hod receipt \
         REGISTRY`",
    ),
    after(
        &["push", "receipt"],
        &["--prefix"],
        "the prefix follows the registry: `REGISTRY/PREFIX`; `--project` and `--rename` change \
         names, too",
    ),
    after(
        &["pull"],
        &["--registry", "--prefix", "-r", "--from"],
        "`--source REGISTRY[/PREFIX]` names where images without a registry come from",
    ),
    after(
        &["pull", "select"],
        &[
            "--only",
            "-f",
            "--file",
            "--list",
            "--images",
            "--image-list",
            "-i",
        ],
        "lists are arguments, without a flag; `--section NAME` takes a part of them",
    ),
    after(
        &["pack"],
        &["--only", "--list", "-f", "--images", "--image-list", "-i"],
        "lists are arguments, without a flag: `hod pack LIST --store STORE --output FILE`",
    ),
    after(
        &["push", "export"],
        &["--list", "-f", "--images", "--image-list"],
        "`--only LIST` chooses images by a list",
    ),
    after(
        &["receipt"],
        &["-f", "--images", "--image-list"],
        "`--only LIST` chooses images by a list",
    ),
    after(
        &["ls", "verify", "why"],
        &["--list", "--images", "--image-list"],
        "`--only LIST` chooses images by a list",
    ),
    after(
        &["serve"],
        &["--only", "--list", "--section"],
        "this verb takes all images of what it reads; `hod select` and `hod pack` take a part",
    ),
    after(
        &["pull", "select", "push", "pack", "export"],
        &["--image", "--exclude", "--include", "--filter"],
        "images are chosen by lists: `echo IMAGE |` in front of the command, and `-` in place of the \
         list",
    ),
    after(
        &["push"],
        &["--force", "--overwrite"],
        "a push replaces tags without a flag, and says which; `--recheck` sends what an unchanged \
         image lacks",
    ),
    after(
        &["pull"],
        &["--force", "--overwrite"],
        "a pull replaces tags without a flag; `hod verify STORE` hashes what is there",
    ),
    after(
        &["select"],
        &["--force", "--overwrite"],
        "`--add` adds to a tree that has other images, and `--replace` removes those from it",
    ),
    after(
        &["unpack", "export"],
        &["--force", "--overwrite"],
        "what is there is added to without a flag, except archives, which are not replaced",
    ),
    after(
        &["keygen"],
        &["--force", "--overwrite"],
        "a key is never replaced: choose another name with `--output NAME`, or remove both files",
    ),
    tip(
        &[
            "--overwrite",
            "--force",
            "-f",
            "-y",
            "--yes",
            "--no-confirm",
        ],
        "hod asks no questions; `--force` of pack and `bundle merge` replaces the output",
    ),
    tip(
        &[
            "--tls-verify",
            "--src-tls-verify",
            "--dest-tls-verify",
            "--no-tls-verify",
            "--skip-tls-verify",
            "--tls-no-verify",
            "--allow-insecure",
            "--http",
            "-k",
        ],
        "`--insecure HOST` accepts any certificate of a registry, and `--plain-http HOST` uses \
         HTTP",
    ),
    after(
        &["serve"],
        &["-p", "--port", "--addr", "--address", "--bind", "--host"],
        "`--listen [ADDRESS]:PORT` names the address, `--listen PORT` a port of this machine alone",
    ),
    after(
        &["serve"],
        &["--tls", "--cert", "--key"],
        "`--tls-cert FILE --tls-key FILE` serves HTTPS",
    ),
    tip(
        &["-p", "--password", "--registry-token"],
        "passwords are not passed on the command line; `hod login REGISTRY` asks for one, and \
         `hod login --password-stdin` reads it from stdin",
    ),
    tip(
        &[
            "--creds",
            "--src-creds",
            "--dest-creds",
            "--screds",
            "--dcreds",
            "-u",
            "--user",
            "--username",
            "--src-username",
            "--dest-username",
            "--src-password",
            "--dest-password",
        ],
        "passwords are not passed on the command line; log in with `hod login REGISTRY`, or pass \
         `--creds-stdin` and `USER:PASSWORD` on stdin",
    ),
    tip(
        &[
            "--cert-dir",
            "--src-cert-dir",
            "--dest-cert-dir",
            "--cacert",
            "--ca-file",
            "--ca-cert",
        ],
        "`--ca FILE` trusts a CA; certificates in `/etc/containers/certs.d` are read",
    ),
    tip(
        &["--src-authfile", "--dest-authfile"],
        "`--authfile FILE` names the file of logins, and so does the variable `REGISTRY_AUTH_FILE`",
    ),
    tip(
        &[
            "-a",
            "--all",
            "--multi-arch",
            "--all-platforms",
            "--all-arch",
        ],
        "`--platform all` carries every platform",
    ),
    tip(
        &[
            "--override-os",
            "--override-arch",
            "--override-variant",
            "--arch",
            "--os",
            "--platforms",
        ],
        "`--platform OS/ARCHITECTURE` chooses the platform",
    ),
    tip(
        &["-s", "--src", "-d", "--dest", "--scoped"],
        "what is read and what is written are arguments, without a flag; `--source REGISTRY`, where a \
         verb has it, is the registry of names that have none",
    ),
    tip(
        &["--retry-times", "--retry", "--max-retries"],
        "`--retries N` says how often to retry",
    ),
    tip(
        &["--timeout", "--command-timeout", "--retry-delay"],
        "`--stall-timeout SECONDS` gives up a connection on which nothing moves; for the whole run, \
         put `timeout SECONDS` in front of the command",
    ),
    tip(
        &["--limit-rate", "--bwlimit", "--rate-limit", "--bandwidth"],
        "`--max-rate RATE` limits how many bytes a second are moved",
    ),
    tip(
        &[
            "-v",
            "--verbose",
            "--debug",
            "--trace",
            "--log-level",
            "--loglevel",
            "-D",
        ],
        "hod has no log of requests; errors name the request and the answer, `hod doctor REGISTRY` \
         shows how a registry is reached, and `--json` prints all results",
    ),
    tip(
        &["--silent", "--no-progress", "--progress"],
        "progress is shown on terminals only, and as a line every few seconds elsewhere; `--quiet` \
         leaves it out",
    ),
    tip(
        &[
            "--parallel",
            "--concurrency",
            "--threads",
            "--workers",
            "--max-concurrent-downloads",
            "--proc",
            "--image-parallel-copies",
        ],
        "`--jobs N` says how many large blobs are moved at once",
    ),
    tip(
        &["--config", "-c"],
        "hod has no configuration file; `hod doctor REGISTRY` shows which files of containers and \
         Docker it reads",
    ),
    tip(
        &["--proxy"],
        "the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name the proxy",
    ),
    tip(
        &["-n", "--dryrun", "--simulate"],
        "`--dry-run` of the verbs that move images says what would be done",
    ),
    tip(
        &["--sort", "--order-by", "-S"],
        "`hod ls --by size` shows the largest first",
    ),
    tip(
        &["--split", "--split-size", "--size", "--chunk", "--volume"],
        "`hod pack --volume-size SIZE` divides a bundle into volumes",
    ),
    tip(
        &[
            "--compress",
            "--compression",
            "--zstd",
            "--gzip",
            "-z",
            "-J",
        ],
        "an output named `.tar.zst` is compressed; layers are compressed already, so it is \
         hardly smaller",
    ),
    after(
        &["pull", "pack", "select", "push"],
        &["--format"],
        "`--json` prints the results as JSON; `hod export --format` writes layouts and archives for \
         other tools",
    ),
    after(
        &["pack", "bundle"],
        &["--key", "--private-key", "--gpg", "--sign-by"],
        "`--sign KEY` signs the bundle, with a key of `hod keygen` or `minisign -G`",
    ),
    tip(
        &["--key", "--pubkey", "--public-key", "--trusted-key"],
        "`--verify-key FILE` names the public key that must have signed a bundle",
    ),
    tip(
        &["--lockfile", "--lock-file"],
        "`hod pull --lock FILE` writes the list with every digest",
    ),
    tip(&["--digestfile"], "`--digest-file FILE` writes the digests"),
    tip(
        &["--name-only", "-l", "--long", "--tree", "--no-trunc"],
        "`hod ls` has one form for people; `--json` has everything",
    ),
    tip(
        &["--insecure-policy", "--policy", "--keep-going"],
        "hod needs no such flag: leave it out",
    ),
];
