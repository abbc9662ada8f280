//! Why a command failed, and the exit code that says so.

use std::io;
use std::path::{Path, PathBuf};

use super::Exit;
use super::ui::OutputError;
use crate::bundle::{KeyError, SignError};
use crate::fsx;
use crate::hint::Hint;
use crate::list::{ListError, Origin, TextError};
use crate::oci::{Reference, ReferenceError, Registry};
use crate::ops::{FoundVolumes, OpsError, SourceKind};
use crate::registry::{CredentialsError, RegistriesConfError, RegistryError};
use crate::report::ErrorClass;

/// A command that did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Ops(#[from] OpsError),
    #[error(transparent)]
    Lists(#[from] ListError),
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error(transparent)]
    Client(#[from] RegistryError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("image list `{}` cannot be read", path.display())]
    List { path: PathBuf, source: fsx::Error },
    #[error("`{}` has no `*.list` or `*.txt` files", path.display())]
    NoLists { path: PathBuf },
    #[error("image list `{}` is not text that can be read", path.display())]
    NotText { path: PathBuf, source: TextError },
    #[error("failed to read the list from stdin")]
    Stdin(#[source] io::Error),
    #[error("credentials in `{}` cannot be read", path.display())]
    Credentials {
        path: PathBuf,
        source: CredentialsError,
    },
    #[error("push target `{text}` is not of the form `REGISTRY[/PREFIX]`")]
    Target {
        text: String,
        source: ReferenceError,
    },
    #[error("`{registry}` is a registry, not something to push")]
    RegistryAsSource {
        registry: String,
        /// What was given as the target, if it is a file or directory.
        source_path: Option<String>,
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
    OutputPath { path: PathBuf, source: fsx::Error },
    #[error("output `{}` is a stream, and this output requires a regular file", path.display())]
    OutputStream { path: PathBuf },
    #[error("output `{}` is also an input; choose another path", path.display())]
    OutputIsInput { path: PathBuf },
    #[error("output `{}` is given twice; choose another path", path.display())]
    OutputTwice { path: PathBuf },
    #[error("report `{}` must be named `.json` or `.xml`", path.display())]
    ReportName { path: PathBuf },
    /// The run itself is over, whatever became of it.
    #[error("failed to write `{}`", path.display())]
    Results { path: PathBuf, source: fsx::Error },
    #[error("failed to write report `{}`", path.display())]
    Rendering { path: PathBuf, source: io::Error },
    #[error("one tree is packed at a time; lists are packed with `--store`")]
    ManyTrees,
    /// The problems themselves are the result, and stand on stdout.
    #[error("`{}` is damaged: {n_problems} ({what})", path.display())]
    Damaged {
        path: PathBuf,
        kind: SourceKind,
        n_problems: String,
        what: String,
    },
    /// What was found is as it was packed.
    #[error("`{}` is incomplete: {volumes}", path.display())]
    Incomplete {
        path: PathBuf,
        volumes: FoundVolumes,
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
    #[error("`{name}` is set, but empty")]
    EmptyVariable { name: &'static str },
    /// Not shown, since it may be a secret.
    #[error("`{name}` takes the path of a file, but its value is {content}")]
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
    #[error("there is nobody to ask for the {what}: stdin is no terminal")]
    NobodyToAsk { what: &'static str },
    #[error("neither `HOME` nor `DOCKER_CONFIG` is set, so that no file of logins is known")]
    NoHome,
    #[error("the variable `{variable}` names no proxy")]
    Proxy { variable: &'static str },
    #[error(transparent)]
    RegistriesConf(#[from] RegistriesConfError),
    #[error("`{text}` is not of the form `REGISTRY[/REPOSITORY]`")]
    RegistryName {
        text: String,
        source: ReferenceError,
    },
    /// Every line of the list says something else than the option.
    #[error(
        "`{option}` contradicts the list, in which every image is pinned: `{origin}` has `{line}`"
    )]
    Locked {
        option: String,
        origin: Origin,
        line: String,
    },
    /// In front of a name it would be read as a part of the name.
    #[error("a list cannot name `{registry}` as a registry, so that no lock can be written")]
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
    #[error("interrupted{}; what was finished is kept, and running the command again continues", progress.as_ref().map(|at| format!(" at {at}")).unwrap_or_default())]
    Interrupted { progress: Option<String> },
}

impl CommandError {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Ops(error) if error.is_usage() => Exit::Usage,
            Self::Ops(error) if error.is_refusal() => Exit::Refused,
            Self::Ops(error) if error.is_unverified() => Exit::NotVerified,
            Self::Damaged { .. } => Exit::NotVerified,
            Self::Incomplete { .. } => Exit::Refused,
            Self::Interrupted { .. } => Exit::Interrupted,
            Self::Lists(_)
            | Self::List { .. }
            | Self::NoLists { .. }
            | Self::NotText { .. }
            | Self::Stdin(_)
            | Self::Credentials { .. }
            | Self::Target { .. }
            | Self::RegistryAsSource { .. }
            | Self::SourceDateEpoch { .. }
            | Self::BundleName { .. }
            | Self::PackStdout { .. }
            | Self::MergedName { .. }
            | Self::OutputPath { .. }
            | Self::OutputStream { .. }
            | Self::OutputIsInput { .. }
            | Self::OutputTwice { .. }
            | Self::ReportName { .. }
            | Self::ManyTrees
            | Self::WhoseLogin { .. }
            | Self::HalfLogin { .. }
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
            | Self::LockSource { .. } => Exit::Usage,
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
            Self::File(error) | Self::Results { source: error, .. } => error.class(),
            Self::Client(error) => error.class(),
            Self::Credentials { source, .. } => source.class(),
            Self::Damaged { .. } => ErrorClass::Verify,
            Self::Incomplete { .. } => ErrorClass::NotFound,
            Self::Output(_) | Self::Stdin(_) | Self::CredsRead(_) => ErrorClass::File,
            Self::Lists(_)
            | Self::List { .. }
            | Self::NoLists { .. }
            | Self::NotText { .. }
            | Self::Target { .. }
            | Self::RegistryAsSource { .. }
            | Self::SourceDateEpoch { .. }
            | Self::MergedName { .. }
            | Self::BundleName { .. }
            | Self::PackStdout { .. }
            | Self::OutputPath { .. }
            | Self::OutputStream { .. }
            | Self::OutputIsInput { .. }
            | Self::OutputTwice { .. }
            | Self::ReportName { .. }
            | Self::ManyTrees
            | Self::WhoseLogin { .. }
            | Self::HalfLogin { .. }
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

    /// What to do now.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::Ops(error) => error.hint(),
            Self::Lists(error) => error.hint(),
            Self::List { path, source } if source.kind() == fsx::IoKind::NotFound => {
                image_in_place_of_a_list(path)
            }
            Self::NotText { source, .. } => source.hint(),
            Self::File(error) => error.hint(),
            Self::Client(error) => error.hint(),
            Self::Target { .. } => Some(
                "write it as in `harbor.corp:8443/offline`, without `https://` and without a tag"
                    .to_owned(),
            ),
            Self::RegistryAsSource {
                registry,
                source_path: Some(path),
            } => Some(format!(
                "the source comes first: `hod push {path} {registry}`"
            )),
            Self::RegistryAsSource { .. } => Some(
                "images of a registry are pulled into a store first (`hod pull LIST --store DIR \
                 --source REGISTRY`), and pushed from there"
                    .to_owned(),
            ),
            Self::WhoseLogin { .. } => Some(
                "say with `--source REGISTRY` which one is meant, or log in with `hod login` to \
                 each of them"
                    .to_owned(),
            ),
            Self::NobodyToAsk { .. } => Some(
                "pass `--username USER --password-stdin`, with the password on stdin".to_owned(),
            ),
            Self::Proxy { .. } => Some(
                "write it as in `http://proxy.corp:3128` or `socks5h://gate.corp:1080`".to_owned(),
            ),
            Self::RegistriesConf(_) => {
                Some("`--no-registries-conf` goes on as if there were no such file".to_owned())
            }
            Self::RegistryName { .. } => Some(
                "write it as in `harbor.corp:8443`, without `https://` and without a tag"
                    .to_owned(),
            ),
            Self::Locked { .. } => Some(
                "Leave the option out: a lock says all that decides what is pulled. To pull it in \
                 another way, pull the list that it was made from, with `--lock`."
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
                "Set `{name}` to a key, or unset it: empty, it would turn signatures off without a \
                 word."
            )),
            Self::NotAPath { name, .. } => Some(match *name {
                "HOD_SIGN_KEY" | "--sign" => {
                    "Write it to a file of its own, or set `HOD_SIGN_KEY_DATA` to the key.".to_owned()
                }
                "REGISTRY_AUTH_FILE" | "--authfile" => {
                    "Write it to a file of its own, or set `DOCKER_AUTH_CONFIG` to it.".to_owned()
                }
                _ => "Write it to a file of its own.".to_owned(),
            }),
            Self::TrustedDir { .. } => Some(
                "Every `*.pub` file of this directory is a key that bundles must be signed with. Remove \
                 the directory to read bundles that are not signed."
                    .to_owned(),
            ),
            Self::Key { source, .. } => source.hint(),
            Self::Sign(error) => error.hint(),
            Self::NoSignKey => Some("pass it with `--sign KEY`".to_owned()),
            Self::Results { source, .. } => source.hint(),
            Self::PackStdout { .. } => {
                Some("name a file as the output; one that is called `-` is `./-.tar`".to_owned())
            }
            Self::MergedName { .. } => {
                Some("it is not compressed, since layers are compressed already".to_owned())
            }
            Self::BundleName { .. } => {
                Some("the name says whether to compress, so that nobody has to guess".to_owned())
            }
            Self::Incomplete { .. } => Some(
                "The volumes that are present are as they were packed. Put the missing ones beside \
                 them, name their directory with `--volume-dir`, or verify only what is present \
                 with `--partial`."
                    .to_owned(),
            ),
            Self::Damaged { kind, .. } => Some(where_damaged(*kind).to_owned()),
            _ => None,
        }
    }
}

/// What to do about damage that was found.
fn where_damaged(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Store => {
            "Delete the named files, then pull or unpack again, which fetches only what is \
             missing."
        }
        SourceKind::Bundle | SourceKind::CompressedBundle | SourceKind::PipedBundle => {
            "Copy the bundle, or the named volumes of it, again from where it was made, and \
             compare the checksums there and here; if it is damaged there too, pack it again."
        }
        SourceKind::Layouts | SourceKind::Collection(_) => {
            "Copy it again from where it is whole, or make it again with what made it."
        }
    }
}

/// What to do with the reference of an image where a file is expected.
fn image_in_place_of_a_list(path: &Path) -> Option<String> {
    let reference: Reference = path.to_str()?.parse().ok()?;
    let is_image = reference.tag.is_some() || reference.digest.is_some();
    is_image.then(|| {
        format!(
            "If `{reference}` is an image, pass it as a list on stdin: \
             `echo '{reference}' | hod pull - --store STORE`."
        )
    })
}
