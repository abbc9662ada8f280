//! Why a command failed, and the exit code that says so.

mod advice;
mod missing;
mod target;

pub(crate) use missing::transport;
pub(crate) use target::TargetError;

use std::io;
use std::path::PathBuf;

use super::Exit;
use super::ui::OutputError;
use hod_bundle::{KeyError, SignError};
use hod_list::{ListError, Origin, TextError};
use hod_oci::{ReferenceError, Registry};
use hod_ops::{OpsError, SourceKind};
use hod_registry::{CertificatesError, CredentialsError, RegistriesConfError, RegistryError};
use hod_report::ErrorClass;
use hod_report::Hint;
use hod_report::amount::format_count;
use hod_transfer::EndpointError;

/// Advice about images that are not where they should be.
const MISSING: &str =
    "`hod ls` shows what is there: push or pack what is missing, or correct the list";

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
    #[error("`--link` needs files at both ends, and a registry has none")]
    LinkNothing,
    #[error("`{registry}` is a registry, not something to push")]
    RegistryAsSource {
        registry: String,
        /// The file or directory that was given as the target.
        source_path: String,
    },
    #[error("`SOURCE_DATE_EPOCH` is `{value}`, which is not a number of seconds")]
    SourceDateEpoch { value: String },
    #[error("bundle `{}` must be named `.tar` or `.tar.zst`", path.display())]
    BundleName { path: PathBuf },
    /// The bundle is on stdout already.
    #[error("with `--output -` the bundle itself goes to stdout, where `{flag}` {problem}")]
    PackStdout {
        flag: &'static str,
        problem: &'static str,
    },
    #[error("merged bundle `{}` must be named `.tar`", path.display())]
    MergedName { path: PathBuf },
    /// A directory, or a name that no file can have.
    #[error("output `{}` cannot be written", path.display())]
    OutputPath {
        path: PathBuf,
        source: hod_fsx::Error,
    },
    #[error("output `{}` has the transport `{transport}:`, and an output is a path", path.display())]
    OutputTransport { path: PathBuf, transport: String },
    #[error("output `{}` is a stream, and this output requires a regular file", path.display())]
    OutputStream { path: PathBuf },
    #[error("output `{}` is also an input; choose another path", path.display())]
    OutputIsInput { path: PathBuf },
    #[error("output `{}` is given twice; choose another path", path.display())]
    OutputTwice { path: PathBuf },
    #[error("report `{}` must be named `.json` or `.xml`", path.display())]
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
    #[error("{} of `{}` {} missing; what was found is whole ({what})", format_count(*n_absent, "image"), path.display(), if *n_absent == 1 { "is" } else { "are" })]
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
    #[error("`{by}` gives a login for one registry, and the list names {}: {}", registries.len(), registries.join(", "))]
    WhoseLogin {
        by: &'static str,
        registries: Vec<String>,
    },
    #[error("the variable `{has}` is set and `{lacks}` is not")]
    HalfLogin {
        has: &'static str,
        lacks: &'static str,
    },
    /// The user is not shown, since the part after the colon is the password.
    #[error("the user in `{by}` has a colon, as in `USER:PASSWORD`")]
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
    #[error("`{flag}` and another `-` cannot both be stdin")]
    StdinTwice { flag: &'static str },
    #[error("failed to read the login")]
    CredsRead(#[source] io::Error),
    #[error("the first line of stdin is not of the form `user:password`")]
    CredsStdin,
    #[error("there is no password on stdin")]
    NoPassword,
    #[error("cannot ask for the {what}: stdin is not a terminal")]
    NobodyToAsk { what: &'static str },
    #[error("neither `HOME` nor `DOCKER_CONFIG` is set, so no file of logins is known")]
    NoHome,
    #[error("`{variable}` is not a proxy URL")]
    Proxy { variable: &'static str },
    #[error(transparent)]
    RegistriesConf(#[from] RegistriesConfError),
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
        "`--only` chooses images of a source that has others, and the source is a list or an image"
    )]
    OnlyOfRegistries,
    #[error(
        "`--source` names the registry of names that have none, and `{}` is not a list or an image",
        word.display()
    )]
    SourceOfNothing { word: PathBuf },
    #[error(
        "`--rename`, `--project` and `--strip-host` say how the images of a list were renamed, and \
         there is no `--only LIST`"
    )]
    RenameWithoutList,
    #[error("`{}` is a receipt, whose images are not renamed", path.display())]
    RenamedReceipt { path: PathBuf },
    #[error("there is no list with a section `{section}`")]
    SectionWithoutList { section: String },
    #[error("`{word}` is a registry, and there are other arguments")]
    RegistryAmongImages { word: String },
    /// Every line of the list says something else than the option.
    #[error("`{option}` contradicts the lock: `{origin}` has `{line}`")]
    Locked {
        option: String,
        origin: Origin,
        line: String,
    },
    /// In front of a name it would be read as a part of the name.
    #[error("a list cannot name `{registry}` as a registry, so no lock can be written")]
    LockSource { registry: Registry },
    /// A key of a bundle, by its path or, if it is public, by itself.
    #[error("key `{name}` cannot be used")]
    Key { name: String, source: KeyError },
    #[error(transparent)]
    Sign(SignError),
    #[error("there is a password for a secret key, and no secret key")]
    NoSignKey,
    #[error("failed to start a thread")]
    Runtime(#[source] io::Error),
    /// The user asked for an end.
    #[error("interrupted{}; run the command again to continue", progress.as_ref().map(|at| format!(" at {at}")).unwrap_or_default())]
    Interrupted { progress: Option<String> },
}

impl CommandError {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Ops(error) if error.is_usage() => Exit::Usage,
            Self::Ops(error) if error.is_refusal() => Exit::Refused,
            Self::Ops(error) if error.class() == ErrorClass::Verify => Exit::NotVerified,
            Self::Damaged { .. } | Self::ImagesAbsent { .. } => Exit::NotVerified,
            Self::Incomplete { .. } => Exit::Refused,
            Self::Interrupted { .. } => Exit::Interrupted,
            Self::Lists(_)
            | Self::Given { .. }
            | Self::GivenNoDirectory { .. }
            | Self::Ca { .. }
            | Self::List { .. }
            | Self::NotAList { .. }
            | Self::NoLists { .. }
            | Self::NotText { .. }
            | Self::Stdin(_)
            | Self::Credentials { .. }
            | Self::Target { .. }
            | Self::LinkNothing
            | Self::RegistryAsSource { .. }
            | Self::SourceDateEpoch { .. }
            | Self::BundleName { .. }
            | Self::PackStdout { .. }
            | Self::MergedName { .. }
            | Self::OutputPath { .. }
            | Self::OutputTransport { .. }
            | Self::OutputStream { .. }
            | Self::OutputIsInput { .. }
            | Self::OutputTwice { .. }
            | Self::ReportName { .. }
            | Self::ManyTrees
            | Self::WhoseLogin { .. }
            | Self::HalfLogin { .. }
            | Self::UserColon { .. }
            | Self::EmptyVariable { .. }
            | Self::NotAPath { .. }
            | Self::TrustedDir { .. }
            | Self::NotUtf8 { .. }
            | Self::StdinTwice { .. }
            | Self::Key { .. }
            | Self::Sign(SignError::HelperName { .. })
            | Self::NoSignKey
            | Self::CredsRead(_)
            | Self::CredsStdin
            | Self::NoPassword
            | Self::NobodyToAsk { .. }
            | Self::NoHome
            | Self::Proxy { .. }
            | Self::RegistriesConf(_)
            | Self::RegistryName { .. }
            | Self::Locked { .. }
            | Self::LockSource { .. }
            | Self::Arguments { .. }
            | Self::Endpoint(_)
            | Self::CopyTarget(_)
            | Self::OnlyOfRegistries
            | Self::SourceOfNothing { .. }
            | Self::RenameWithoutList
            | Self::RenamedReceipt { .. }
            | Self::SectionWithoutList { .. }
            | Self::RegistryAmongImages { .. } => Exit::Usage,
            Self::Ops(_)
            | Self::File(_)
            | Self::Client(_)
            | Self::Sign(_)
            | Self::Output(_)
            | Self::Results { .. }
            | Self::Rendering { .. }
            | Self::Runtime(_) => Exit::Failed,
        }
    }

    /// What kind of failure it is, for programs.
    pub(crate) fn class(&self) -> ErrorClass {
        match self {
            Self::Ops(error) => error.class(),
            Self::File(error)
            | Self::Results { source: error, .. }
            | Self::Given { source: error, .. } => error.class(),
            Self::Client(error) => error.class(),
            Self::Credentials { source, .. } => source.class(),
            Self::Damaged { .. } => ErrorClass::Verify,
            Self::ImagesAbsent { .. } | Self::Incomplete { .. } => ErrorClass::NotFound,
            Self::Output(_) | Self::Stdin(_) | Self::CredsRead(_) => ErrorClass::File,
            Self::Lists(_)
            | Self::Arguments { .. }
            | Self::Endpoint(_)
            | Self::CopyTarget(_)
            | Self::OnlyOfRegistries
            | Self::SourceOfNothing { .. }
            | Self::RenameWithoutList
            | Self::RenamedReceipt { .. }
            | Self::SectionWithoutList { .. }
            | Self::RegistryAmongImages { .. }
            | Self::GivenNoDirectory { .. }
            | Self::Ca { .. }
            | Self::List { .. }
            | Self::NotAList { .. }
            | Self::NoLists { .. }
            | Self::NotText { .. }
            | Self::Target { .. }
            | Self::LinkNothing
            | Self::RegistryAsSource { .. }
            | Self::SourceDateEpoch { .. }
            | Self::MergedName { .. }
            | Self::BundleName { .. }
            | Self::PackStdout { .. }
            | Self::OutputPath { .. }
            | Self::OutputTransport { .. }
            | Self::OutputStream { .. }
            | Self::OutputIsInput { .. }
            | Self::OutputTwice { .. }
            | Self::ReportName { .. }
            | Self::ManyTrees
            | Self::WhoseLogin { .. }
            | Self::HalfLogin { .. }
            | Self::UserColon { .. }
            | Self::EmptyVariable { .. }
            | Self::NotAPath { .. }
            | Self::TrustedDir { .. }
            | Self::NotUtf8 { .. }
            | Self::StdinTwice { .. }
            | Self::Key { .. }
            | Self::Sign(_)
            | Self::NoSignKey
            | Self::CredsStdin
            | Self::NoPassword
            | Self::NobodyToAsk { .. }
            | Self::NoHome
            | Self::Proxy { .. }
            | Self::RegistriesConf(_)
            | Self::RegistryName { .. }
            | Self::Locked { .. }
            | Self::LockSource { .. } => ErrorClass::Usage,
            Self::Runtime(_) | Self::Rendering { .. } => ErrorClass::Internal,
            Self::Interrupted { .. } => ErrorClass::Interrupted,
        }
    }

    /// The hint.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::Ops(OpsError::NoSource { path }) => missing::source_hint(path),
            Self::Ops(error) => error.hint(),
            Self::Lists(error) => error.hint(),
            Self::Endpoint(error) => missing::endpoint_hint(error),
            Self::CopyTarget(error) => error.hint(),
            Self::NotText { source, .. } => source.hint(),
            Self::File(error) => error.hint(),
            Self::Client(error) => error.hint(),
            Self::RegistryAsSource {
                registry,
                source_path,
            } => Some(format!(
                "the source comes first: `hod push {source_path} {registry}`"
            )),
            Self::WhoseLogin { .. } => Some(
                "say with `--source REGISTRY` which one is meant, or log in with `hod login` to \
                 each of them"
                    .to_owned(),
            ),
            Self::NobodyToAsk { .. } => Some(
                "pass `--username USER --password-stdin`, with the password on stdin".to_owned(),
            ),
            Self::CredsStdin => Some(
                "Pipe it in: `echo \"$USERNAME:$PASSWORD\" | hod ... --creds-stdin`.".to_owned(),
            ),
            Self::NoPassword => Some(
                "Pass the password on stdin: `hod ... --password-stdin < FILE`.".to_owned(),
            ),
            Self::Proxy { .. } => Some(
                "write it as in `http://proxy.corp:3128` or `socks5h://gate.corp:1080`".to_owned(),
            ),
            Self::RegistriesConf(_) => {
                Some("Pass `--no-registries-conf` to ignore the file.".to_owned())
            }
            Self::Locked { .. } => Some(
                "Leave the option out: a lock says all that decides what is carried. To carry it in \
                 another way, use the list that it was made from."
                    .to_owned(),
            ),
            Self::LockSource { registry } => {
                Some(format!("Name it with its port: `--source {registry}:443`."))
            }
            Self::ReportName { .. } => Some(
                "the name says what to write: JSON, or JUnit's XML, which CI systems show"
                    .to_owned(),
            ),
            Self::EmptyVariable { name } => Some(format!(
                "Set `{name}` to a key, or unset it: an empty one would turn signatures off \
                 silently."
            )),
            Self::TrustedDir { .. } => Some(
                "Every `*.pub` file of this directory is a key that bundles must be signed with. Remove \
                 the directory to read bundles that are not signed."
                    .to_owned(),
            ),
            Self::Key { source, .. } => source.hint(),
            Self::Sign(error) => error.hint(),
            Self::NoSignKey => Some("pass it with `--sign KEY`".to_owned()),
            Self::PackStdout { .. } => {
                Some("name a file as the output; one that is called `-` is `./-.tar`".to_owned())
            }
            Self::MergedName { .. } => {
                Some("it is not compressed, since layers are compressed already".to_owned())
            }
            Self::BundleName { .. } => {
                Some("the name says whether the bundle is compressed".to_owned())
            }
            Self::Incomplete { path, .. } if hod_fsx::is_stdin(path) => Some(
                "The volumes that came are as they were packed. Join all of them in order, as \
                 `cat NAME.*.tar` does, or verify only what came with `--partial`."
                    .to_owned(),
            ),
            Self::Incomplete { .. } => Some(
                "The volumes that are present are as they were packed. Put the missing ones beside \
                 them, name their directory with `--volume-dir`, or verify only what is present \
                 with `--partial`."
                    .to_owned(),
            ),
            Self::Damaged { kind, .. } => Some(advice::where_damaged(*kind).to_owned()),
            Self::ImagesAbsent { .. } => Some(MISSING.to_owned()),
            _ => self.advice_on_arguments(),
        }
    }
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
