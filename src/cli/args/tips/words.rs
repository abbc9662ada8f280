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
        &["cp", "mirror"],
        "`hod copy SRC REGISTRY` copies images between registries, and `hod pull LIST --store STORE` \
         into a store",
    ),
    tip(
        &["list", "images"],
        "`hod ls SRC` lists the images of a registry, store or bundle, and `hod inspect IMAGE` shows \
         one of them",
    ),
    tip(
        &["show", "info", "manifest"],
        "`hod inspect IMAGE` shows an image; `--raw` writes its manifest, `--config` its config",
    ),
    tip(
        &["manifest-digest"],
        "`hod digest FILE` prints the digest of a manifest",
    ),
    tip(
        &["list-tags", "search"],
        "`hod tags REPOSITORY` lists the tags of a repository, and `hod ls REGISTRY[/PREFIX]` the \
         images of a registry",
    ),
    tip(
        &["catalog", "repositories"],
        "`hod ls REGISTRY[/PREFIX]` lists the images of a registry, each with its tag",
    ),
    tip(
        &["tag", "retag", "rename"],
        "`--rename 'OLD/*=NEW/*'` of push, pack, select and export renames images, and so does a \
         second column in a list",
    ),
    tip(
        &["rm", "rmi", "remove", "prune", "gc"],
        "`hod delete` deletes images from registries, not from a store; `hod select LIST --store STORE --output TREE` makes \
         a tree without them, and `--replace` removes them from an existing tree",
    ),
    tip(
        &["save", "archive", "bundle-create", "create", "build"],
        "`hod pack` writes a bundle, and `hod export --format docker-archive` a file for \
         `docker load`",
    ),
    tip(
        &["load", "import", "extract"],
        "`hod unpack FILE --output STORE` makes a store of a bundle or an archive, and `hod push` \
         pushes it without unpacking",
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
        "`hod doctor REGISTRY` shows how hod reaches a registry, and with which login and files",
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
    after(&["pull", "select", "pack"], &["-s"], "write `--store DIR`"),
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
        "every platform is copied unless you pass `--platform`: leave the flag out",
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
        "the source is the first argument, without a flag; `--only LIST` selects images of it",
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
        "`--source REGISTRY[/PREFIX]` names the registry for images without one",
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
        "lists are arguments, without a flag; `--section NAME` selects some of them",
    ),
    after(
        &["pack"],
        &["--only", "--list", "-f", "--images", "--image-list", "-i"],
        "lists are arguments, without a flag: `hod pack LIST --store STORE --output FILE`",
    ),
    after(
        &["push", "export"],
        &["--list", "-f", "--images", "--image-list"],
        "`--only LIST` selects the images of a list",
    ),
    after(
        &["receipt"],
        &["-f", "--images", "--image-list"],
        "`--only LIST` selects the images of a list",
    ),
    after(
        &["ls", "verify", "why"],
        &["--list", "--images", "--image-list"],
        "`--only LIST` selects the images of a list",
    ),
    after(
        &["serve"],
        &["--only", "--list", "--section"],
        "this verb uses all images of its source; `hod select` and `hod pack` take a part",
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
        "a push replaces tags without a flag, and reports them; `--recheck` sends missing parts of \
         unchanged images",
    ),
    after(
        &["pull"],
        &["--force", "--overwrite"],
        "a pull replaces tags without a flag; `hod verify STORE` hashes the content of a store",
    ),
    after(
        &["select"],
        &["--force", "--overwrite"],
        "`--add` keeps the other images of an existing tree, and `--replace` removes them",
    ),
    after(
        &["unpack", "export"],
        &["--force", "--overwrite"],
        "images are added to an existing output without a flag; archives are not replaced",
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
        "sources and targets are arguments, without a flag; `--source REGISTRY` is the registry for \
         names without one",
    ),
    tip(
        &["--retry-times", "--retry", "--max-retries"],
        "`--retries N` sets the number of retries",
    ),
    tip(
        &["--timeout", "--command-timeout", "--retry-delay"],
        "`--stall-timeout SECONDS` closes a connection without progress; to limit the whole run, put \
         `timeout SECONDS` in front of the command",
    ),
    tip(
        &["--limit-rate", "--bwlimit", "--rate-limit", "--bandwidth"],
        "`--max-rate RATE` limits the bytes per second",
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
         shows how hod reaches a registry, and `--json` prints all results",
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
        "`--jobs N` sets the number of large blobs to move at once",
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
        "`--dry-run` of the verbs that move images shows what would be done",
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
        "`--verify-key FILE` names the public key that a bundle must be signed with",
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
        &["--insecure-policy", "--keep-going"],
        "hod does not require this flag: leave it out",
    ),
    tip(
        &["--registries.d", "--signature-policy"],
        "`--policy FILE` names a trust policy, and `--registries-d DIR` says where signatures are",
    ),
];
