//! Tips for verbs and flags of other tools that have another name in hod.
//!
//! clap suggests what is spelled alike, which sends people the wrong way: `delete` is not `select`.

mod words;

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use words::{FLAGS, Tip, VERBS};

/// Flags that take a host, which other tools have without one.
const HOST_FLAGS: &[&str] = &["--insecure", "--plain-http"];

/// Puts hod's tip for a foreign verb or flag in the place of clap's. `arguments` begin with the
/// program's name.
pub(crate) fn improve(error: &mut clap::Error, arguments: &[OsString]) {
    let verb = verb_of(arguments);
    let text = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let Some(given) = word(error, ContextKind::InvalidSubcommand) else {
                return;
            };
            let tip = fitting(VERBS, verb.as_deref(), &given).next();
            tip.map(|tip| tip.text.to_owned())
        }
        ErrorKind::UnknownArgument => {
            let Some(given) = word(error, ContextKind::InvalidArg) else {
                return;
            };
            // clap's advice to pass the flag as a value never fits.
            error.remove(ContextKind::TrailingArg);
            error.remove(ContextKind::Suggested);
            unknown_argument(verb.as_deref(), &given)
        }
        ErrorKind::InvalidValue => {
            let given = word(error, ContextKind::InvalidArg).unwrap_or_default();
            let flag = given.split(' ').next();
            flag.filter(|flag| HOST_FLAGS.contains(flag)).map(host_tip)
        }
        ErrorKind::MissingRequiredArgument if lacks_words_only(error) => {
            taker_of_last_word(verb.as_deref(), arguments).map(host_tip)
        }
        _ => return,
    };
    let Some(text) = text else {
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
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(usage) = verb.and_then(|verb| usage(&verb))
    {
        // clap's has the flag that it suggests.
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    }
    let tip = ContextValue::StyledStrs(vec![StyledStr::from(text)]);
    error.insert(ContextKind::Suggested, tip);
}

/// The word that clap could not use, without a value.
fn word(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(given)) => {
            Some(given.split('=').next().unwrap_or_default().to_owned())
        }
        _ => None,
    }
}

/// The tips for a word after a verb, the best first.
fn fitting(
    tips: &'static [Tip],
    verb: Option<&str>,
    word: &str,
) -> impl Iterator<Item = &'static Tip> {
    tips.iter().filter(move |tip| {
        let is_after = tip.after.is_empty() || verb.is_some_and(|verb| tip.after.contains(&verb));
        is_after && tip.words.contains(&word)
    })
}

/// Whether the verb has the flag that a tip begins with, if it begins with one.
fn has_flag(verb: Option<&str>, tip: &str) -> bool {
    let Some(rest) = tip.strip_prefix("`--") else {
        return true;
    };
    let flag = rest.split(['`', ' ', '=']).next().unwrap_or_default();
    let mut command = super::Cli::command();
    command.build();
    let Some(verb) = verb.and_then(|verb| command.find_subcommand(verb)) else {
        return true;
    };
    let mut verbs = std::iter::once(verb).chain(verb.get_subcommands());
    verbs.any(|verb| verb.get_arguments().any(|arg| arg.get_long() == Some(flag)))
}

fn unknown_argument(verb: Option<&str>, given: &str) -> Option<String> {
    let fitting: Vec<&Tip> = fitting(FLAGS, verb, given).collect();
    if let Some(tip) = fitting.iter().find(|tip| has_flag(verb, tip.text)) {
        return Some(tip.text.to_owned());
    }
    if let (Some(verb), false) = (verb, fitting.is_empty()) {
        return Some(format!("`hod {verb} --help` lists the flags that it has"));
    }
    let takes_output = verb.is_some_and(|verb| matches!(verb, "unpack" | "export" | "keygen"));
    (takes_output && !given.starts_with('-'))
        .then(|| format!("the output is named with a flag: `--output {given}`"))
}

/// The tip for `--insecure` and the like without a host.
fn host_tip(flag: &str) -> String {
    format!(
        "`{flag}` is followed by the host of the registry that it is for: `{flag} harbor.corp:8443`"
    )
}

/// Whether only positional arguments are missing.
fn lacks_words_only(error: &clap::Error) -> bool {
    matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::Strings(missing)) if missing.iter().all(|name| name.starts_with('<'))
    )
}

/// The host flag that has the last word of a command line, apart from values of other flags, for its
/// host.
fn taker_of_last_word<'a>(verb: Option<&str>, arguments: &'a [OsString]) -> Option<&'a str> {
    let mut command = super::Cli::command();
    command.build();
    let verb = command.find_subcommand(verb?)?;
    let takes_value = |flag: &str| {
        verb.get_arguments()
            .filter(|arg| arg.get_action().takes_values())
            .any(|arg| {
                let long = arg.get_long().map(|long| format!("--{long}"));
                let short = arg.get_short().map(|short| format!("-{short}"));
                [long, short].iter().flatten().any(|name| name == flag)
            })
    };
    let (mut before, mut taker) = (None, None);
    for word in arguments.iter().skip(1).filter_map(|word| word.to_str()) {
        match before.take() {
            Some(flag) if HOST_FLAGS.contains(&flag) => taker = Some(flag),
            Some(_) => {}
            None if word.starts_with('-') && word != "-" => {
                before = Some(word).filter(|flag| takes_value(flag));
            }
            None => taker = None,
        }
    }
    taker
}

/// The verb of a command line.
pub(crate) fn verb_of(arguments: &[OsString]) -> Option<String> {
    let command = super::Cli::command();
    let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    let verb = words.find(|word| command.find_subcommand(word).is_some())?;
    Some(verb.to_owned())
}

fn usage(verb: &str) -> Option<StyledStr> {
    let mut command = super::Cli::command();
    command.build();
    Some(command.find_subcommand_mut(verb)?.render_usage())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn said(line: &str) -> String {
        let words: Vec<OsString> = std::iter::once("hod")
            .chain(line.split(' '))
            .map(OsString::from)
            .collect();
        let mut error = crate::cli::args::Cli::try_parse_from(&words).unwrap_err();
        improve(&mut error, &words);
        error.to_string()
    }

    #[test]
    fn words_of_other_tools_get_their_own_tips() {
        for tip in VERBS {
            for name in tip.words {
                let said = said(&format!("{name} a b"));
                assert_eq!(said.matches("tip: ").count(), 1, "{said}");
                assert!(said.contains(&format!("tip: {}", tip.text)), "{said}");
            }
        }
        for tip in FLAGS {
            let mut all = ["why", "copy", "pull", "pack"].iter();
            let verbs = if tip.after.is_empty() {
                let has = all.find(|verb| has_flag(Some(verb), tip.text));
                std::slice::from_ref(has.expect("a verb that has it"))
            } else {
                tip.after
            };
            for (verb, name) in verbs
                .iter()
                .flat_map(|v| tip.words.iter().map(move |n| (v, n)))
            {
                let arguments = match *verb {
                    "keygen" => "",
                    "unpack" | "verify" | "ls" | "serve" | "receipt" | "export" | "doctor" => " a",
                    "bundle" => " merge a b",
                    _ => " a b",
                };
                for line in [
                    format!("{verb}{arguments} {name}"),
                    format!("{verb}{arguments} {name}=x"),
                ] {
                    let said = said(&line);
                    assert_eq!(said.matches("tip: ").count(), 1, "{line}: {said}");
                    assert!(
                        said.contains(&format!("tip: {}", tip.text)),
                        "{line}: {said}"
                    );
                }
            }
        }
    }

    #[test]
    fn neighbours_and_slips_get_a_tip_that_fits() {
        for (line, expect) in [
            ("pull l -o s", "`--store DIR` names the store to pull into"),
            ("pull l --store s --debug", "`hod doctor REGISTRY`"),
            ("pull l --store s -v", "`hod doctor REGISTRY`"),
            ("push s h --force", "a push replaces tags without a flag"),
            ("select l --store s -o t --force", "`--add` keeps"),
            ("push s h --timeout 5", "`--stall-timeout SECONDS`"),
            ("ls s --sort size", "`hod ls --by size`"),
            (
                "pack s -o f.tar --split 4G",
                "`hod pack --volume-size SIZE`",
            ),
            ("pack s -o f.tar --compress", "named `.tar.zst`"),
            ("push s h --registry r", "`hod push SRC REGISTRY`"),
            (
                "pull l --store s --registry r",
                "`--source REGISTRY[/PREFIX]`",
            ),
            ("push s h --prefix p", "`REGISTRY/PREFIX`"),
            ("tag a b", "`--rename 'OLD/*=NEW/*'`"),
            ("unpack b s", "`--output s`"),
            ("push s h --insecure", "`--insecure harbor.corp:8443`"),
            ("push s --plain-http h", "`--plain-http harbor.corp:8443`"),
            ("serve s -p 5000", "`--listen [ADDRESS]:PORT`"),
            ("push s h --dest-tls-verify=false", "`--insecure HOST`"),
            ("ls s --format json", "`--json` prints"),
            ("pull l --store s --format json", "`--json` prints"),
            ("pull l -s st", "`--store DIR`"),
            ("push s h -s st", "are arguments, without a flag"),
            ("push s h --all", "leave the flag out"),
            ("pull l --store s --all", "`--platform all`"),
            ("copy s h --all", "leave the flag out"),
            ("copy s h --dest-tls-verify=false", "`--insecure HOST`"),
            ("copy s h --remove-signatures", "`--no-referrers`"),
            // A flag that the verb does not have is not named.
            (
                "pack s -o f --dest-tls-verify=false",
                "`hod pack --help` lists",
            ),
            ("serve s --override-os linux", "`hod serve --help` lists"),
            ("ls s --digestfile f", "`hod ls --help` lists"),
            ("bundle merge a b -o c --sign-by k", "`--sign KEY`"),
            ("select l --store s --tree t", "`--output DIR`"),
            ("push --tree t h", "the tree is the first argument"),
            ("ls s --tree", "`hod ls` has one form"),
        ] {
            let said = said(line);
            assert!(said.contains(expect), "{line}: {said}");
            assert!(!said.contains("as a value, use"), "{line}: {said}");
        }
    }

    #[test]
    fn a_flag_with_its_host_does_not_hide_other_advice() {
        for (line, has_tip) in [
            ("push s --insecure h", true),
            ("push s --insecure h -q --jobs 4", true),
            ("push s h --insecure --dry-run", true),
            ("pull --plain-http l --store s", true),
            ("push --insecure h s", false),
            ("push s h --insecure h --color nevr", false),
            ("push s h --progress --insecure h", false),
            ("pull l --plain-http h", false),
        ] {
            let said = said(line);
            assert_eq!(
                said.contains("is followed by the host"),
                has_tip,
                "{line}: {said}"
            );
        }
        let colour = said("push s h --insecure h --color nevr");
        assert!(
            colour.contains("a similar value exists: 'never'"),
            "{colour}"
        );
    }

    #[test]
    fn the_usage_has_no_flag_that_was_not_given() {
        let said = said("pull l --store s --all");
        assert!(!said.contains("--stall-timeout"), "{said}");
        assert!(said.contains("Usage: hod pull [OPTIONS]"), "{said}");
    }

    #[test]
    fn other_slips_keep_the_similar_word() {
        assert!(said("pussh s r").contains("a similar subcommand exists: 'push'"));
        assert!(said("push s r --creds-stdim").contains("'--creds-stdin'"));
        assert!(!said("pull l --store s --xyz").contains("as a value, use"));
    }
}
