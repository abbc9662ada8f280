//! The command line, as clap parses it; nothing here depends on the environment.

mod bundle;
mod carry;
mod copy;
mod delete;
mod harbor;
mod images;
mod login;
mod looking;
mod merge;
mod names;
mod personality;
mod platforms;
mod policy;
mod push;
mod referrers;
mod registry;
mod results;
mod run;
mod selection;
mod size;
mod sync;
pub(crate) mod tips;
pub(crate) mod transport;
mod upload;
mod verbs;
mod volume_size;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

pub(crate) use bundle::{BundleArgs, KeygenArgs, OutputArgs, SignArgs};
pub(crate) use carry::CarryArgs;
pub(crate) use copy::CopyArgs;
pub(crate) use delete::DeleteArgs;
pub(crate) use harbor::PreflightArgs;
pub(crate) use images::{DigestArgs, InspectArgs, TagsArgs};
pub(crate) use login::{DoctorArgs, LoginArgs, LogoutArgs};
pub(crate) use looking::{ByArg, DiffArgs, LookArgs, LsArgs, ReceiptArgs, VerifyArgs, WhyArgs};
pub(crate) use merge::{BundleVerb, BundleVerbArgs, MergeArgs, PreferArg};
pub(crate) use names::NameSourceArgs;
pub(crate) use personality::{ImageSyncerArgs, SkopeoArgs};
pub(crate) use platforms::{LookPlatformArgs, PlatformArgs, PullPlatformArgs};
pub(crate) use policy::PolicyArgs;
pub(crate) use push::PushArgs;
pub(crate) use referrers::ReferrerArgs;
pub(crate) use registry::RegistryArgs;
pub(crate) use results::ResultsArgs;
pub(crate) use run::{FailFastArgs, RecheckArgs, RunArgs};
pub(crate) use selection::{ImagesArgs, LinkArg, ListArgs, OnlyArgs, RenameArgs};
pub(crate) use sync::{ImagesFormat, SyncArgs};
pub(crate) use upload::UploadArgs;
pub(crate) use verbs::{
    CompletionsArgs, ExportArgs, FormatArg, PackArgs, PullArgs, SelectArgs, ServeArgs, UnpackArgs,
};

use super::ui::{ColourChoice, Printer, PrinterOptions, ResultFormat, Verbosity};

/// Number of large blobs moved at once by default.
const JOBS_DEFAULT: u8 = 6;

/// Carry container images from registries, across an air gap, into a registry
///
/// Give it a list of images: it pulls them, packs them into a bundle, and pushes every image into the
/// registry on the other side. Every byte is verified, and nothing is downloaded, stored, carried or
/// uploaded twice. Digests stay the same unless you carry only some platforms of an image.
#[derive(Debug, Parser)]
#[command(
    name = "hod",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_long_help = "\
How the data flows:

  hod pull images-list.txt --store store      from registries into a store
  hod pack images-list.txt --store store --output site.tar
                                              from the store into one file
  hod push site.tar harbor.corp               from the file into a registry

Exit codes: 0 done, 1 failed, 2 usage error (flags or lists), 3 some images
failed, the rest are done, 4 content of at least one image did not verify, 5
refused before anything was changed, 130 interrupted.

Results go to stdout, everything else to stderr. You can run pull, push, copy,
unpack and select again: they continue where the last run stopped. pack replaces
an existing file only with `--force`; keygen, export and copy never do."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    global: GlobalArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct GlobalArgs {
    /// Print only warnings, errors and results
    #[arg(long, short, global = true)]
    quiet: bool,

    /// Print one JSON document with the result on stdout
    #[arg(long, global = true)]
    json: bool,

    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = ColourArg::Auto, value_name = "WHEN")]
    color: ColourArg,

    /// Number of large blobs to move or hash at once [default: 6]
    #[arg(long, short, global = true, value_name = "N",
          value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: Option<u8>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ColourArg {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pull(PullArgs),
    Select(SelectArgs),
    Pack(PackArgs),
    Unpack(UnpackArgs),
    Export(ExportArgs),
    Push(PushArgs),
    Copy(CopyArgs),
    Sync(Box<SyncArgs>),
    Verify(VerifyArgs),
    Ls(LsArgs),
    Diff(DiffArgs),
    Why(WhyArgs),
    Receipt(ReceiptArgs),
    Inspect(InspectArgs),
    Tags(TagsArgs),
    Digest(DigestArgs),
    Delete(DeleteArgs),
    Bundle(BundleVerbArgs),
    Serve(ServeArgs),
    Keygen(KeygenArgs),
    Login(LoginArgs),
    Logout(LogoutArgs),
    Doctor(DoctorArgs),
    Completions(CompletionsArgs),
    Skopeo(SkopeoArgs),
    ImageSyncer(ImageSyncerArgs),
}

impl Cli {
    pub(crate) fn printer(&self) -> Printer {
        Printer::for_process(PrinterOptions {
            verbosity: if self.global.quiet {
                Verbosity::Quiet
            } else {
                Verbosity::Normal
            },
            format: if self.global.json {
                ResultFormat::Json
            } else {
                ResultFormat::Text
            },
            colour: match self.global.color {
                ColourArg::Auto if super::settings::no_colour() => ColourChoice::Never,
                ColourArg::Auto => ColourChoice::Auto,
                ColourArg::Never => ColourChoice::Never,
            },
        })
    }

    /// Refuses `--jobs` for verbs that move and hash nothing.
    pub(crate) fn checked(self) -> Result<Self, clap::Error> {
        let is_idle = matches!(
            self.command,
            Command::Keygen(_)
                | Command::Login(_)
                | Command::Logout(_)
                | Command::Doctor(_)
                | Command::Tags(_)
                | Command::Digest(_)
                | Command::Delete(_)
                | Command::Completions(_)
                | Command::Skopeo(_)
                | Command::ImageSyncer(_)
        );
        if is_idle && self.global.jobs.is_some() {
            return Err(Self::command().error(
                ErrorKind::ArgumentConflict,
                "`--jobs` has no effect here: this verb does not move or hash blobs",
            ));
        }
        Ok(self)
    }

    pub(crate) fn jobs(&self) -> usize {
        self.global.jobs.unwrap_or(JOBS_DEFAULT).into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::{Command, CommandFactory as _, Parser as _};

    use super::Cli;

    /// Every verb, those of `bundle` too.
    fn verbs() -> Vec<Command> {
        let mut found = Vec::new();
        let mut rest: Vec<Command> = Cli::command().get_subcommands().cloned().collect();
        while let Some(verb) = rest.pop() {
            rest.extend(verb.get_subcommands().cloned());
            found.push(verb);
        }
        found
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_in_groups_of_their_own() {
        let groups = [
            ("Reading bundles", &["verify_key", "volume_dir"][..]),
            ("Signing", &["sign", "sign_password_stdin"]),
            ("Referrers and layers", &["no_referrers", "foreign_layers"]),
            ("Choosing images", &["only"]),
            ("Platforms", &["platform", "index", "strict_platform"]),
            ("Names", &["strip_host", "project", "rename"]),
        ];
        for verb in verbs() {
            for arg in verb.get_arguments() {
                let (name, id) = (verb.get_name(), arg.get_id().as_str());
                let heading = arg.get_help_heading();
                for (group, ids) in groups {
                    assert!(
                        !ids.contains(&id) || heading == Some(group),
                        "{name} {id}: {heading:?}"
                    );
                    let is_foreign =
                        heading == Some(group) && !ids.contains(&id) && id != "section";
                    assert!(!is_foreign, "{name} {id}: {heading:?}");
                }
            }
        }
    }

    #[test]
    fn examples_fit_a_terminal_of_80_columns() {
        for verb in verbs().into_iter().chain([Cli::command()]) {
            let text = verb.get_after_long_help().map(ToString::to_string);
            for line in text.iter().flat_map(|text| text.lines()) {
                let len = line.chars().count();
                assert!(len <= 80, "{}: {len}: {line}", verb.get_name());
            }
        }
    }

    /// The help of a flag is the same in all verbs, unless its meaning depends on the verb.
    #[test]
    fn a_flag_has_the_same_help_in_all_verbs() {
        let by_verb = [
            "output",
            "store",
            "link",
            "platform",
            "index",
            "section",
            "name",
            "bundle_version",
            "dry_run",
            "authfile",
            "password_stdin",
            "insecure",
            "format",
        ];
        let mut known: BTreeMap<String, (String, String)> = BTreeMap::new();
        for verb in verbs() {
            let flags = verb.get_opts().filter(|arg| arg.get_long().is_some());
            for flag in flags.filter(|arg| !by_verb.contains(&arg.get_id().as_str())) {
                let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
                let (name, id) = (verb.get_name().to_owned(), flag.get_id().to_string());
                assert!(!help.is_empty() && !help.ends_with('.'), "{name} {id}");
                let (first, text) = known.entry(id).or_insert((name.clone(), help.clone()));
                assert_eq!(*text, help, "{first} and {name}");
            }
        }
    }

    #[test]
    fn jobs_are_refused_where_nothing_is_moved() {
        for (line, is_refused) in [
            ("hod logout h -j 3", true),
            ("hod -j 3 keygen", true),
            ("hod doctor h -j 3", true),
            ("hod ls s -j 3", false),
            ("hod logout h", false),
        ] {
            let parsed = Cli::try_parse_from(line.split(' ')).unwrap().checked();
            assert_eq!(parsed.is_err(), is_refused, "{line}");
        }
    }
}
