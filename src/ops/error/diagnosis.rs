//! What each error of a verb means.

use std::path::Path;

use super::{FileKind, OpsError};
use crate::SourceKind;
use hod_registry::RegistryError;
use hod_report::ErrorClass::{Auth, File, Network, NotFound, Policy, Usage, Verify};
use hod_report::{Changes, Diagnose, Diagnosis};
use hod_transfer::{BlobHolder, TransferError};

/// How many images are named where one is not found.
const SHOWN_MAX: usize = 10;

/// The hint where a verb cannot use a kind of source.
fn instead_of(verb: &str, kind: SourceKind, path: &str) -> String {
    let path = if path == hod_fsx::STDIN { "-" } else { path };
    match (verb, kind.holder()) {
        ("merge", Some(BlobHolder::Store)) => {
            let file = Path::new(path).with_extension("tar");
            format!(
                "Pack it first: `hod pack {path} --output {}`.",
                file.display()
            )
        }
        _ => format!(
            "Create a store from it with `hod unpack {path} --output STORE`, and name that."
        ),
    }
}

/// What it means that a registry does not list its repositories.
fn without_catalog(error: &RegistryError) -> Diagnosis {
    let found = error.diagnose();
    let found = Diagnosis {
        // Only a login can help, if there is none.
        hint: found.hint.filter(|_| error.is_unauthorized()),
        ..Diagnosis::refused(found.class)
    };
    found.and(
        "Name the images with `--only LIST`, as for a push: each is then looked up by its name. \
         Often only administrators may list all repositories.",
    )
}

impl Diagnose for OpsError {
    #[expect(clippy::too_many_lines, reason = "an arm for each variant")]
    fn diagnose(&self) -> Diagnosis {
        let usage = |hint: &str| Diagnosis::new(Usage).hint(hint);
        match self {
            Self::List(error) => error.diagnose(),
            Self::Store(error) => error.diagnose(),
            Self::Bundle(error) => error.diagnose(),
            Self::Layout(error) => error.diagnose(),
            Self::Registry(error) => error.diagnose(),
            Self::Receipt { source, .. } => source.diagnose(),
            Self::Transfer(error) => error.diagnose(),
            Self::Batch(failure) => failure.error.diagnose(),
            Self::Rename(error) => error.diagnose(),
            Self::File(error) => error.diagnose(),
            Self::Template(error) => error.diagnose(),
            Self::Carry(error) => error.diagnose(),
            Self::Server(error) => error.diagnose(),
            Self::Output(error) => error.diagnose(),
            Self::Keep(error) => error.diagnose(),
            Self::NotReady(error) => error.diagnose(),
            Self::TargetsNotReady(error) => error.diagnose(),
            Self::SourcesNotReady(error) => error.diagnose(),
            Self::BaseMissing(error) => error.diagnose(),
            Self::Key(error) => error.diagnose(),
            Self::NoCatalog { source, .. } => without_catalog(source),
            Self::NothingRead { source, .. } => Diagnosis {
                changes: Changes::None,
                ..source.diagnose()
            },

            Self::Looking(error) => Diagnosis {
                changes: Changes::Possible,
                ..error.diagnose()
            },
            Self::Unshown { source, .. } => match source.as_ref() {
                TransferError::NoPlatform { .. } | TransferError::OtherPlatform { .. } => {
                    Diagnosis::new(NotFound).hint("Choose one of these with `--platform`.")
                }
                source => source.diagnose(),
            },
            Self::NotATag { .. } => usage(
                "Name the image by its tag, or leave out `--tag-only` to delete the manifest.",
            ),
            Self::OneImage { images, .. } => {
                usage(&format!("Name one of them: {}.", several(images)))
            }
            Self::OnePlatform { platforms, .. } => usage(&format!(
                "Choose one with `--platform`: {}.",
                several(platforms)
            )),
            Self::NoConfig { .. } => Diagnosis::new(NotFound)
                .hint("`--raw` shows the manifest as it is."),
            Self::OneRepository { repositories, .. } => usage(&format!(
                "Name one of them with `--repository`: {}.",
                several(repositories)
            )),

            // Digests and receipts.
            Self::SchemaOne { .. } => Diagnosis::new(Verify),
            Self::TwoReceipts { .. } => usage("Compare a receipt with a store, tree or bundle."),
            Self::BadDigest { .. } => {
                usage("Write `sha256:` and 64 hex characters, or the first 12 or more.")
            }
            Self::AmbiguousDigest { .. } => usage("Write more characters of it."),
            Self::NoSuchDigest { near, .. } if !near.is_empty() => Diagnosis::refused(NotFound)
                .hint(format!("Did you mean `{}`?", near.join("` or `"))),
            Self::NoSuchDigest { .. } => Diagnosis::refused(NotFound).hint(
                "The digest of a layer is that of its compressed bytes. `docker image inspect` shows \
                 diff ids, which differ from it.",
            ),

            // What is read.
            Self::UnknownSource {
                tree: Some(tree), ..
            } => usage(&format!(
                "The registry tree is at `{}`. Name that.",
                tree.display()
            )),
            Self::UnknownSource { tree: None, .. } => usage(
                "A store contains `docker/registry/v2`, a bundle is a `.tar` or `.tar.zst` that `hod \
                 pack` wrote, a `dir:` layout contains a `manifest.json`, and an OCI layout an \
                 `index.json`, as do the archives that other tools write.",
            ),
            Self::NotABaseline { .. } => usage(
                "Name a receipt of the target (`hod receipt`), an earlier bundle, or a store that \
                 has what the target has.",
            ),
            Self::Compression { compression, .. } => usage(match *compression {
                "gzip" => "Decompress it first, with `gunzip`.",
                "xz" => "Decompress it first, with `xz -d`.",
                "bzip2" => "Decompress it first, with `bzip2 -d`.",
                "lz4" => "Decompress it first, with `lz4 -d`.",
                _ => "Decompress it first.",
            }),
            Self::NotADirectory { path, kind } => usage(&instead_of_a_store(path, *kind)),
            Self::ListWithoutStore { path } => usage(&format!(
                "If `{0}` is an image list, name the store that has the images with `--store DIR`. \
                 `hod copy {0} bundle:FILE` packs images of registries.",
                path.display()
            )),
            Self::Piped => usage(
                "copy, push, export, unpack, verify, ls, diff and why read a bundle from stdin. For \
                 other commands, write it to a file first.",
            ),
            Self::WrongSource { verb, path, kind } => {
                usage(&instead_of(verb, *kind, &path.display().to_string()))
            }
            Self::OtherKind {
                path, transport, ..
            } => usage(&format!(
                "Write `{}`, without `{}:`: hod recognises what a path holds.",
                path.display(),
                transport.word()
            )),
            Self::OneTarget { .. } => {
                usage("Copy it to one target at a time, or unpack it into a store first.")
            }
            Self::RemoteSource { .. } => {
                usage("Pull the images into a store first: `hod pull LIST --store DIR`.")
            }
            Self::NoSuchImage { present, .. } | Self::NoSuchRepository { present, .. } => {
                Diagnosis::refused(NotFound).hint(format!("It has {}.", several(present)))
            }
            Self::AmbiguousImage { .. } => {
                usage("Write the whole name after the path, `PATH:REPOSITORY:TAG`.")
            }
            Self::OneName { target, .. } => usage(&format!(
                "Name one image as the source, or write `{target}` without a name, so that the \
                 images keep theirs."
            )),
            Self::NoImages { .. } => Diagnosis::refused(NotFound).hint(
                "Check the name. `hod ls HOST` lists the repositories of a registry.",
            ),
            Self::Missing { .. } | Self::NoneFound { .. } => Diagnosis::refused(NotFound)
                .hint("Check the names and tags: `hod ls` lists the images that exist."),

            // What is written.
            Self::NoSource { .. } | Self::OutputIsSource { .. } => Diagnosis::new(Usage),
            Self::OutputsExist { .. } => Diagnosis::refused(File).hint(
                "Choose another output, or remove it first. `hod pack` and `hod bundle merge` \
                 replace it with `--force`.",
            ),
            Self::KeyExists { .. } => {
                Diagnosis::refused(File).hint("Choose another name with `--output NAME`.")
            }
            Self::OtherImages { .. } => Diagnosis::refused(Policy).hint(
                "Pass `--add` to keep them, `--replace` to remove them, or choose a new output.",
            ),
            Self::WouldLose { .. } => Diagnosis::refused(Policy).hint(
                "They would be lost for good. Pass `--add` to keep them, select into another \
                 directory, or pull them into the store first.",
            ),
            Self::Conflicts { .. } => Diagnosis::refused(Policy).hint(
                "List the bundles from the oldest to the newest, and pass `--prefer last` to take \
                 the content of the newest, or `--prefer first` to take that of the oldest.",
            ),
            Self::NotRemoved { source, .. } => {
                let cause = source.diagnose();
                let found = Diagnosis::new(cause.class).hint(
                    "The selected images are complete. Running the command again removes the rest.",
                );
                match cause.hint {
                    Some(hint) => found.and(&hint),
                    None => found,
                }
            }
            Self::BundleText { field: "version" } => {
                usage("Pass another one with `--bundle-version VERSION`.")
            }
            Self::BundleText { .. } => usage(
                "By default it is that of the file. Name the bundle with `--name NAME`.",
            ),

            // Servers and logins.
            Self::Bind { .. } => Diagnosis::new(Network).hint(
                "Another program may use the port. `--listen 127.0.0.1:0` chooses a free one.",
            ),
            Self::Exposed { .. } => Diagnosis::refused(Policy).hint(
                "Pass `--tls-cert`, `--tls-key` and `--htpasswd`, or leave out `--writable`. With \
                 `--insecure`, anyone who can reach the port may push.",
            ),
            Self::ReadOnlyBundle { .. } => usage(
                "Leave out `--writable`, or unpack it with `hod unpack` and serve the store.",
            ),
            Self::NotWritable { source, .. } => Diagnosis::new(source.diagnose().class)
                .hint("Leave out `--writable` to serve it read-only, which writes nothing."),
            Self::LoginRefused { .. } => Diagnosis::refused(Auth).hint(
                "Nothing was stored. Check the user name (that of a robot has a prefix, `robot$` in \
                 Harbor, which a shell must not expand) and the password. Harbor also answers like \
                 this while its database is down.",
            ),
            Self::NotLoggedIn { .. } => Diagnosis::new(Auth)
                .hint("`hod doctor` shows which login is used and where it comes from."),
        }
    }
}

/// The first of several names.
fn several(names: &[String]) -> String {
    let n = names.len().min(SHOWN_MAX);
    let more = if n < names.len() { ", …" } else { "" };
    format!("`{}`{more}", names[..n].join("`, `"))
}

/// The hint where a store is expected.
fn instead_of_a_store(path: &Path, kind: FileKind) -> String {
    match kind {
        FileKind::Bundle => format!(
            "It is a bundle. `hod unpack {} --output STORE` creates a store from it; `hod push` and \
             `hod ls` read it as it is.",
            path.display()
        ),
        FileKind::Other => "Name the directory of the store.".to_owned(),
        FileKind::Pipe => {
            "A store cannot be read from stdin or written to stdout. Name a directory; \
                           one that is called `-` is `./-`."
                .to_owned()
        }
    }
}
