//! What to do about an error of a verb.

use std::path::Path;

use super::OpsError;
use crate::SourceKind;
use hod_registry::RegistryError;
use hod_report::Hint;
use hod_transfer::BlobHolder;

/// How many images are named where one is not found.
const SHOWN_MAX: usize = 10;

/// The hint where a verb cannot use a kind of source.
fn instead_of((verb, kind): (&str, SourceKind), path: &str) -> String {
    let path = if path == hod_fsx::STDIN { "-" } else { path };
    match (verb, kind.holder()) {
        ("merge", Some(BlobHolder::Store)) => {
            let file = Path::new(path).with_extension("tar");
            format!(
                "Pack it first: `hod pack {path} --output {}`.",
                file.display()
            )
        }
        _ => format!("make a store of it with `hod unpack {path} --output STORE`, and name that"),
    }
}

/// The hint where a registry does not list its repositories.
fn without_catalog(error: &RegistryError) -> String {
    let named = "name the images with `--only LIST`, as for a push: each is then asked for by \
                 itself; the whole list is often for administrators only";
    match error.hint().filter(|_| error.status() == Some(401)) {
        Some(login) => format!("{login}\n{named}"),
        None => named.to_owned(),
    }
}

impl Hint for OpsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::List(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Bundle(error) => error.hint(),
            Self::Layout(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::NoCatalog { source, .. } => Some(without_catalog(source)),
            Self::Receipt { source, .. } => source.hint(),
            Self::NothingRead { source, .. } => source.hint(),
            Self::BaseMissing(missing) => missing.hint(),
            Self::Conflicts { .. } => Some(
                "take those of the newest with `--prefer last`, with the bundles in the order of \
                 their age, or of the oldest with `--prefer first`"
                    .to_owned(),
            ),
            Self::TwoReceipts { .. } => {
                Some("compare a receipt with a store, tree or bundle".to_owned())
            }
            Self::BadDigest { .. } => {
                Some("Write `sha256:` and 64 hex characters, or the first 12 or more.".to_owned())
            }
            Self::AmbiguousDigest { .. } => Some("give more of it".to_owned()),
            Self::NoSuchDigest { near, .. } if !near.is_empty() => {
                Some(format!("did you mean `{}`?", near.join("` or `")))
            }
            Self::NoSuchDigest { .. } => Some(
                "the digest of a layer is that of its compressed bytes; `docker image inspect` \
                 shows diff ids, which are others"
                    .to_owned(),
            ),
            Self::Transfer(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Keep(error) => error.hint(),
            Self::Server(error) => error.hint(),
            Self::Batch(failure) => failure.error.hint(),
            Self::Rename(error) => error.hint(),
            Self::LoginRefused { .. } => Some(
                "nothing was kept; check the user's name (a robot's has a prefix, `robot$` with \
                 Harbor, which a shell must not expand) and the password; Harbor also answers like \
                 this while its database is down"
                    .to_owned(),
            ),
            Self::NotLoggedIn { .. } => {
                Some("`hod doctor` shows which login is used and where it comes from".to_owned())
            }
            Self::NotReady(error) => error.hint(),
            Self::TargetsNotReady(error) => error.hint(),
            Self::OneTarget { .. } => {
                Some("Copy it to one target at a time, or unpack it into a store first.".to_owned())
            }
            Self::SourcesNotReady(error) => error.hint(),
            Self::Bind { .. }
            | Self::Exposed { .. }
            | Self::ReadOnlyBundle { .. }
            | Self::NotWritable { .. } => Some(self.advice_to_a_server().to_owned()),
            Self::Piped => Some(
                "copy, push, export, unpack, verify, ls, diff and why read a bundle from stdin; for all \
                 else, write it to a file first"
                    .to_owned(),
            ),
            Self::WrongSource { verb, path, kind } => {
                Some(instead_of((verb, *kind), &path.display().to_string()))
            }
            Self::OtherKind {
                path, transport, ..
            } => Some(format!(
                "hod recognises what a path holds: write `{}`, without `{}:`",
                path.display(),
                transport.word()
            )),
            Self::NoSuchImage { present, .. } => {
                let n = present.len().min(SHOWN_MAX);
                let more = if n < present.len() { ", …" } else { "" };
                Some(format!("it has `{}`{more}", present[..n].join("`, `")))
            }
            Self::OneName { target, .. } => Some(format!(
                "name one image as the source, or write `{target}` without a name, so that all keep \
                 theirs"
            )),
            Self::AmbiguousImage { .. } => {
                Some("write the whole name behind the path, `PATH:REPOSITORY:TAG`".to_owned())
            }
            Self::RemoteSource { .. } => {
                Some("pull the images into a store first: `hod pull LIST --store DIR`".to_owned())
            }
            Self::NoImages { .. } => Some(
                "Check the name: a prefix or repository that does not exist holds no images."
                    .to_owned(),
            ),
            Self::Missing { .. } | Self::NoneFound { .. } => {
                Some("Check the names and tags: `hod ls` shows what is there.".to_owned())
            }
            Self::Output(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::KeyExists { .. } => Some("Choose another name with `--output NAME`.".to_owned()),
            Self::Template(error) => error.hint(),
            Self::Carry(error) => error.hint(),
            _ => self.path_hint(),
        }
    }
}
