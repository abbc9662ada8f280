//! Why a command failed, and the exit code that says so.

mod diagnosis;
mod missing;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use missing::transport;
pub(crate) use target::TargetError;

use std::io;
use std::path::PathBuf;

use super::ui::OutputError;
use hod_bundle::{KeyError, SignError};
use hod_list::{ListError, ListPosition, TextError};
use hod_oci::{ReferenceError, Registry};
use hod_ops::{OpsError, SourceKind};
use hod_registry::{CertificatesError, CredentialsError, RegistriesConfError, RegistryError};
use hod_report::amount::format_count;
use hod_transfer::EndpointError;
use hod_trust::{LookasideError, PolicyError};

/// A command that did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Ops(#[from] OpsError),
    #[error(transparent)]
    Lists(#[from] ListError),
    #[error(transparent)]
    File(#[from] hod_fsx::Error),
    #[error(transparent)]
    Client(#[from] RegistryError),
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file or directory that a flag or a variable names.
    #[error("`{}` (`{by}`) {}", path.display(), unusable(source))]
    Given {
        by: &'static str,
        path: PathBuf,
        source: hod_fsx::Error,
    },
    #[error("`{}` (`{by}`) is not a directory", path.display())]
    GivenNoDirectory { by: &'static str, path: PathBuf },
    #[error("`{}` (`--ca`) cannot be used", path.display())]
    Ca {
        path: PathBuf,
        source: CertificatesError,
    },
    #[error("image list `{}` {}", path.display(), unusable(source))]
    List {
        path: PathBuf,
        source: hod_fsx::Error,
    },
    #[error("`{}` is {kind}, not an image list", path.display())]
    NotAList { path: PathBuf, kind: &'static str },
    #[error("`{}` has no `*.list` or `*.txt` files", path.display())]
    NoLists {
        path: PathBuf,
        /// Directories in it that have some.
        below: Vec<PathBuf>,
    },
    #[error("image list `{}` is not text that can be read", path.display())]
    NotText { path: PathBuf, source: TextError },
    #[error("failed to read the list from stdin")]
    Stdin(#[source] io::Error),
    #[error("credentials in `{}` cannot be read", path.display())]
    Credentials {
        path: PathBuf,
        source: CredentialsError,
    },
    #[error("{what} `{text}` is not of the form `REGISTRY[/PREFIX]`")]
    Target {
        /// `push target`, or the flag.
        what: &'static str,
        text: String,
        source: ReferenceError,
    },
    #[error("`--link` requires files at both ends, and a registry has none")]
    LinkNothing,
    #[error("`{registry}` is a registry, and cannot be the source of a push")]
    RegistryAsSource {
        registry: String,
        /// The file or directory that was given as the target.
        source_path: String,
    },
    #[error("`SOURCE_DATE_EPOCH` is `{value}`, which is not a number of seconds")]
    SourceDateEpoch { value: String },
    #[error("the name of bundle `{}` must end in `.tar` or `.tar.zst`", path.display())]
    BundleName { path: PathBuf },
    /// The bundle is on stdout already.
    #[error("with `--output -` the bundle itself goes to stdout, where `{flag}` {problem}")]
    PackStdout {
        flag: &'static str,
        problem: &'static str,
    },
    #[error("the name of merged bundle `{}` must end in `.tar`", path.display())]
    MergedName { path: PathBuf },
    /// A directory, or a name that no file can have.
    #[error("output `{}` cannot be written", path.display())]
    OutputPath {
        path: PathBuf,
        source: hod_fsx::Error,
    },
    #[error("output `{}` has the transport `{transport}:`, but an output is a path", path.display())]
    OutputTransport { path: PathBuf, transport: String },
    #[error("output `{}` looks like a registry, but an output is a path", path.display())]
    OutputRegistry { path: PathBuf },
    #[error("output `{}` is a stream, and this output requires a regular file", path.display())]
    OutputStream { path: PathBuf },
    #[error("output `{}` is also an input; choose another path", path.display())]
    OutputIsInput { path: PathBuf },
    #[error("output `{}` is given twice; choose another path", path.display())]
    OutputTwice { path: PathBuf },
    #[error("the name of report `{}` must end in `.json` or `.xml`", path.display())]
    ReportName { path: PathBuf },
    /// The work is finished, successfully or not.
    #[error("failed to write `{}`", path.display())]
    Results {
        path: PathBuf,
        source: hod_fsx::Error,
    },
    #[error("failed to write report `{}`", path.display())]
    Rendering { path: PathBuf, source: io::Error },
    #[error("one tree is packed at a time; lists are packed with `--store`")]
    ManyTrees,
    /// The problems themselves are the result, and are printed on stdout.
    #[error("{} of `{}` {} missing; all images that were found are complete ({what})", format_count(*n_absent, "image"), path.display(), if *n_absent == 1 { "is" } else { "are" })]
    ImagesAbsent {
        path: PathBuf,
        n_absent: usize,
        what: String,
    },
    #[error("`{}` is damaged: {n_problems} ({what})", path.display())]
    Damaged {
        path: PathBuf,
        kind: SourceKind,
        n_problems: String,
        what: String,
    },
    /// The volumes that were found are correct.
    #[error("`{}` is incomplete: {missing}", path.display())]
    Incomplete {
        path: PathBuf,
        /// Which volumes are missing, in words.
        missing: String,
    },
    /// A login for this run, and no single registry that it could be for.
    #[error("`{by}` gives a login for one registry, but the list names {}: {}", registries.len(), registries.join(", "))]
    WhoseLogin {
        by: &'static str,
        registries: Vec<String>,
    },
    /// Nothing says where the images are to go.
    #[error("`{word}` names no destination")]
    SyncNowhere { word: String },
    #[error("the variable `{has}` is set, but `{lacks}` is not")]
    HalfLogin {
        has: &'static str,
        lacks: &'static str,
    },
    /// The user is not shown, since the part after the colon is the password.
    #[error("the user in `{by}` contains a colon, as in `USER:PASSWORD`")]
    UserColon { by: &'static str },
    #[error("`{name}` is set, but empty")]
    EmptyVariable { name: &'static str },
    /// Not shown, since it may be a secret.
    #[error("`{name}` takes a path, but its value is {content}")]
    NotAPath {
        name: &'static str,
        content: &'static str,
    },
    #[error("`{}` {problem}", path.display())]
    TrustedDir {
        path: PathBuf,
        problem: &'static str,
    },
    #[error("the variable `{name}` is not UTF-8 text")]
    NotUtf8 { name: &'static str },
    #[error("`{flag}` and `-` both read stdin")]
    StdinTwice { flag: &'static str },
    #[error("failed to read the login")]
    CredsRead(#[source] io::Error),
    #[error("the first line of stdin is not of the form `user:password`")]
    CredsStdin,
    #[error("no password found on stdin")]
    NoPassword,
    #[error("cannot ask for the {what}: stdin is not a terminal")]
    NobodyToAsk { what: &'static str },
    #[error("no file of logins is known: neither `HOME` nor `DOCKER_CONFIG` is set")]
    NoHome,
    #[error("`{variable}` is not a proxy URL")]
    Proxy { variable: &'static str },
    #[error(transparent)]
    RegistriesConf(#[from] RegistriesConfError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("the scope `{scope}` in the policy `{}` has a host with capital letters", path.display())]
    CapitalScope { scope: String, path: PathBuf },
    #[error(transparent)]
    RegistriesD(#[from] LookasideError),
    #[error("`{text}` is not of the form `REGISTRY[/REPOSITORY]`")]
    RegistryName {
        text: String,
        source: ReferenceError,
    },
    /// A command line that cannot be parsed, as clap says it.
    #[error("{text}")]
    Arguments { text: String, tip: Option<String> },
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error(transparent)]
    CopyTarget(#[from] TargetError),
    #[error(
        "`--only` chooses images of a source that has others, but the source is a list or an image"
    )]
    OnlyOfRegistries,
    #[error(
        "`--source` names the registry of names that have none, but `{}` is not a list or an image",
        word.display()
    )]
    SourceOfNothing { word: PathBuf },
    #[error(
        "`--rename`, `--project` and `--strip-host` say how the images of a list were renamed, and \
         require `--only LIST`"
    )]
    RenameWithoutList,
    #[error("`{}` is a receipt, whose images cannot be renamed", path.display())]
    RenamedReceipt { path: PathBuf },
    #[error("`--section {section}` requires a list")]
    SectionWithoutList { section: String },
    #[error("`{word}` is a registry, which cannot be named together with other arguments")]
    RegistryAmongImages { word: String },
    /// Every line of the list says something else than the option.
    #[error("`{option}` contradicts the lock: `{origin}` has `{line}`")]
    Locked {
        option: String,
        origin: ListPosition,
        line: String,
    },
    /// In front of a name it would be read as a part of the name.
    #[error("a list cannot name `{registry}` as a registry, so no lock can be written")]
    LockSource { registry: Registry },
    /// An image is named, where all tags of its repository are listed.
    #[error("a tag or digest is given, but the tags of a repository are listed")]
    TagOfTags { repository: String },
    #[error("`{word}` is a registry, not a repository")]
    NotARepository { word: String },
    #[error("`{text}` has a pattern already, and another one is given")]
    TwoPatterns { text: String },
    #[error("`--repository` names a repository of a file or directory")]
    RepositoryTwice,
    /// An image of a source that names one already.
    #[error("`{}` names an image already, and `{image}` is given", word.display())]
    ImageTwice { word: PathBuf, image: String },
    #[error("`--format` cannot be used: {problem}")]
    Template { problem: String },
    /// A whole registry.
    #[error(
        "`{registry}` is a registry or a part of one, and hod deletes only images that are named"
    )]
    DeleteAll { registry: String },
    #[error("`{}` is a file or directory, and hod deletes only from registries", path.display())]
    DeleteLocal { path: PathBuf },
    #[error("`{image}` states no registry, so it is not clear where to delete it")]
    DeleteWhere { image: String },
    /// Nobody said yes.
    #[error("deleting {what} was not confirmed; nothing was deleted")]
    NotConfirmed { what: String },
    #[error("failed to read the answer")]
    AnswerRead(#[source] io::Error),
    /// A key of a bundle, by its path or, if it is public, by itself.
    #[error("key `{name}` cannot be used")]
    Key { name: String, source: KeyError },
    #[error(transparent)]
    Sign(SignError),
    #[error("a password for a secret key is set, but no secret key")]
    NoSignKey,
    #[error("failed to start a thread")]
    Runtime(#[source] io::Error),
    /// The user asked for an end.
    #[error("interrupted{}; run the command again to continue", progress.as_ref().map(|at| format!(" at {at}")).unwrap_or_default())]
    Interrupted { progress: Option<String> },
}

/// Describes the problem with a path in an argument.
fn unusable(error: &hod_fsx::Error) -> &'static str {
    if is_absent(error) {
        "not found"
    } else {
        "cannot be read"
    }
}

fn is_absent(error: &hod_fsx::Error) -> bool {
    error.kind() == hod_fsx::IoKind::NotFound
}

/// The description of a directory that contains `docker/registry/v2`.
pub(crate) const STORE: &str = "a store";
