//! What to say of verbs and flags that other tools have and hod calls otherwise.
//!
//! clap suggests what is spelled alike, which sends people the wrong way: `delete` is not `select`.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

const VERBS: &[(&[&str], &str)] = &[
    (
        &["copy", "cp", "sync", "mirror"],
        "`hod pull LIST --store STORE`, then `hod push STORE REGISTRY`, copies images between \
         registries",
    ),
    (
        &["inspect", "list", "images", "show"],
        "`hod ls PATH` lists the images of a store or bundle, and `hod why DIGEST PATH` what uses a \
         blob",
    ),
    (
        &["list-tags", "tags"],
        "hod does not list the tags of a registry; `hod receipt REGISTRY` writes down what it has",
    ),
    (
        &["delete", "rm", "rmi", "prune", "gc"],
        "hod removes no images from a store; `hod select LIST --store STORE --output TREE` makes a \
         tree without them, and with `--replace` removes them from a tree that is there",
    ),
    (
        &["save"],
        "`hod pack` writes a bundle, and `hod export --format docker-archive` a file for \
         `docker load`",
    ),
    (
        &["load", "import"],
        "`hod unpack FILE --output STORE` makes a store of a bundle or an archive, and `hod push` \
         reads it as it is",
    ),
    (
        &["merge"],
        "`hod bundle merge A.tar B.tar --output FILE` merges bundles",
    ),
    (&["version"], "`hod --version` prints the version"),
];

const FLAGS: &[(&[&str], &str)] = &[
    (
        &[
            "--tls-verify",
            "--src-tls-verify",
            "--dest-tls-verify",
            "--no-tls-verify",
            "-k",
        ],
        "`--insecure HOST` accepts any certificate of a registry, and `--plain-http HOST` uses \
         HTTP",
    ),
    (
        &["-p", "--password", "--registry-token"],
        "passwords are not passed on the command line; `hod login REGISTRY` asks for one, and \
         `hod login --password-stdin` reads it from stdin",
    ),
    (
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
    (
        &[
            "--cert-dir",
            "--src-cert-dir",
            "--dest-cert-dir",
            "--cacert",
        ],
        "`--ca FILE` trusts a CA; certificates in `/etc/containers/certs.d` are read",
    ),
    (
        &["--src-authfile", "--dest-authfile"],
        "the variable `REGISTRY_AUTH_FILE` names the file of logins",
    ),
    (
        &["-a", "--all", "--multi-arch", "--all-platforms"],
        "`hod pull --platform all` carries every platform",
    ),
    (
        &[
            "--override-os",
            "--override-arch",
            "--override-variant",
            "--arch",
            "--os",
        ],
        "`hod pull --platform OS/ARCHITECTURE` chooses the platform",
    ),
    (
        &["-s", "--src", "-d", "--dest", "--scoped"],
        "the first argument is what is read; `hod pull --source REGISTRY` names the registry to \
         pull from",
    ),
    (&["--retry-times"], "`--retries N` says how often to retry"),
    (&["--digestfile"], "`--digest-file FILE` writes the digests"),
    (
        &["--insecure-policy", "--policy", "--keep-going"],
        "hod needs no such flag: leave it out",
    ),
    (&["--overwrite"], "`--force` replaces the output"),
];

/// Puts hod's tip for a foreign verb or flag in the place of clap's.
pub(crate) fn improve(error: &mut clap::Error) {
    let (kind, table) = match error.kind() {
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, VERBS),
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, FLAGS),
        _ => return,
    };
    let Some(ContextValue::String(given)) = error.get(kind) else {
        return;
    };
    let given = given.split('=').next().unwrap_or_default();
    let Some((_, tip)) = table.iter().find(|(names, _)| names.contains(&given)) else {
        return;
    };
    for kind in [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedCommand,
        ContextKind::SuggestedValue,
        ContextKind::TrailingArg,
    ] {
        error.remove(kind);
    }
    let tip = ContextValue::StyledStrs(vec![StyledStr::from(*tip)]);
    error.insert(ContextKind::Suggested, tip);
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn said(line: &str) -> String {
        let words = std::iter::once("hod").chain(line.split(' '));
        let mut error = crate::cli::args::Cli::try_parse_from(words).unwrap_err();
        improve(&mut error);
        error.to_string()
    }

    #[test]
    fn words_of_other_tools_get_their_own_tips() {
        for (names, tip) in VERBS {
            for name in *names {
                let said = said(&format!("{name} a b"));
                assert_eq!(said.matches("tip: ").count(), 1, "{said}");
                assert!(said.contains(&format!("tip: {tip}")), "{said}");
            }
        }
        for (names, tip) in FLAGS {
            for name in names.iter().filter(|name| **name != "--source") {
                for line in [format!("push s r {name}"), format!("push s r {name}=x")] {
                    let said = said(&line);
                    assert_eq!(said.matches("tip: ").count(), 1, "{line}: {said}");
                    assert!(said.contains(&format!("tip: {tip}")), "{line}: {said}");
                }
            }
        }
    }

    #[test]
    fn other_slips_keep_the_similar_word() {
        assert!(said("pussh s r").contains("a similar subcommand exists: 'push'"));
        assert!(said("push s r --creds-stdim").contains("'--creds-stdin'"));
    }
}
