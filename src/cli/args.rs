//! The command line, as clap parses it; nothing here depends on the environment.

mod bundle;
mod carry;
mod harbor;
mod login;
mod looking;
mod merge;
mod platforms;
mod referrers;
mod registry;
mod results;
mod selection;
pub(crate) mod tips;
mod upload;
mod verbs;
mod volume_size;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use bundle::{BundleArgs, KeygenArgs, OutputArgs, SignArgs};
pub(crate) use carry::CarryArgs;
pub(crate) use harbor::PreflightArgs;
pub(crate) use login::{DoctorArgs, LoginArgs, LogoutArgs};
pub(crate) use looking::{ByArg, DiffArgs, LsArgs, ReceiptArgs, WhyArgs};
pub(crate) use merge::{BundleVerb, BundleVerbArgs, MergeArgs, PreferArg};
pub(crate) use platforms::{PlatformArgs, PullPlatformArgs};
pub(crate) use referrers::ReferrerArgs;
pub(crate) use registry::RegistryArgs;
pub(crate) use results::ResultsArgs;
pub(crate) use selection::{LinkArg, ListArgs, OnlyArgs, RenameArgs};
pub(crate) use upload::UploadArgs;
pub(crate) use verbs::{
    CompletionsArgs, ExportArgs, PackArgs, PullArgs, PushArgs, SelectArgs, ServeArgs, UnpackArgs,
    VerifyArgs,
};

use super::ui::{ColourChoice, Printer, PrinterOptions, ResultFormat, Verbosity};

/// Carry container images from registries, over an air gap, into a registry
///
/// A list goes in, a bundle comes out, the registry at the other end is full. Every byte is
/// verified; nothing is downloaded, stored, carried or uploaded twice; every digest arrives
/// unchanged.
#[derive(Debug, Parser)]
#[command(
    name = "hod",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_long_help = "\
The way of the data:

  hod pull   images-list.txt --store store       registries -> store
  hod pack   images-list.txt --store store --output site.tar
                                                 store -> one file, for the air gap
  hod push   site.tar harbor.corp                the file -> registry, without unpacking it

Exit codes: 0 done, 1 failed, 2 usage (flags or lists), 3 some images failed and the rest are done,
4 content did not verify, 5 refused before starting, 130 interrupted.

Results go to stdout, everything else to stderr. Running a command again is always safe: it goes on
where the last run ended."
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
    /// Say nothing but warnings, errors and results
    #[arg(long, short, global = true)]
    quiet: bool,

    /// Print one JSON document with the result on stdout
    #[arg(long, global = true)]
    json: bool,

    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = ColourArg::Auto, value_name = "WHEN")]
    color: ColourArg,

    /// How many large blobs to move, or to hash, at once
    #[arg(long, short, global = true, default_value_t = 6, value_name = "N",
          value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
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
    Verify(VerifyArgs),
    Ls(LsArgs),
    Diff(DiffArgs),
    Why(WhyArgs),
    Receipt(ReceiptArgs),
    Bundle(BundleVerbArgs),
    Serve(ServeArgs),
    Keygen(KeygenArgs),
    Login(LoginArgs),
    Logout(LogoutArgs),
    Doctor(DoctorArgs),
    Completions(CompletionsArgs),
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

    pub(crate) fn jobs(&self) -> usize {
        self.global.jobs.into()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
