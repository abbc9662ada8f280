//! What to do about paths and names in arguments, and about damage.

use std::path::{Path, PathBuf};

use super::{CommandError, STORE, is_absent, missing};
use hod_ops::SourceKind;
use hod_report::Hint as _;
use hod_transfer::BlobHolder;

impl CommandError {
    /// The hint for errors about paths and names in arguments.
    pub(super) fn advice_on_arguments(&self) -> Option<String> {
        match self {
            Self::OnlyOfRegistries => Some(
                "`--section` chooses a section of the list; to read all of it at one registry, add \
                 `--source REGISTRY`"
                    .to_owned(),
            ),
            Self::SourceOfNothing { .. } => Some(
                "leave `--source` out: what is read there is named already; `--only LIST` chooses \
                 images of it"
                    .to_owned(),
            ),
            Self::RenameWithoutList => Some(
                "name the list that was pushed or copied with these flags: `--only LIST`".to_owned(),
            ),
            Self::Arguments { tip, .. } => tip.clone(),
            Self::SectionWithoutList { .. } => {
                Some("name the list with `--only LIST`".to_owned())
            }
            Self::RegistryAmongImages { .. } => {
                Some("name it alone, or name its images: `HOST/REPOSITORY:TAG`".to_owned())
            }
            Self::UserColon { by: "--username" } => Some(
                "Pass the user alone, and the password on stdin with `--password-stdin`.".to_owned(),
            ),
            Self::UserColon { .. } => Some(
                "Set it to the user alone, and the variable of the password to the password."
                    .to_owned(),
            ),
            Self::NotAPath { name, content } => Some(match *name {
                "HOD_SIGN_KEY" | "--sign" => {
                    "Write it to a file of its own, or set `HOD_SIGN_KEY_DATA` to the key.".to_owned()
                }
                "HOD_VERIFY_KEY" | "--verify-key" => {
                    "Pass the public key alone, or the path of a file that holds it.".to_owned()
                }
                "REGISTRY_AUTH_FILE" | "DOCKER_CONFIG" | "--authfile" if *content == "JSON" => {
                    "Write it to a file of its own, or set `DOCKER_AUTH_CONFIG` to it.".to_owned()
                }
                "REGISTRY_AUTH_FILE" | "DOCKER_CONFIG" | "--authfile" => {
                    "Pass the path of a file of logins, such as `hod login` writes; a login for one run \
                     is read from stdin with `--creds-stdin`."
                        .to_owned()
                }
                _ => "Write it to a file of its own.".to_owned(),
            }),
            Self::Given { path, source, .. } if is_absent(source) => missing::source_hint(path),
            Self::Ca { source, .. } => source.hint(),
            Self::List { path, source } if is_absent(source) => missing::list_hint(path),
            Self::NotAList { path, kind } => Some(instead_of_a_list(path, kind)),
            Self::NoLists { below, .. } => Some(below_hint(below)),
            Self::Target { what, text, .. } => Some(match missing::meant_registry(text) {
                Some(meant) if missing::names_tag(text) => {
                    let host = meant.split('/').next().unwrap_or(&meant);
                    format!(
                        "Name only the registry: `{host}`, or `{host}/PREFIX`. Images keep their \
                         names below it."
                    )
                }
                Some(meant) if *what == "`--source`" => {
                    format!("Write it as `{meant}`, without a scheme and without a tag.")
                }
                Some(meant) => format!(
                    "Write it as `{meant}`, without a scheme and without a tag. Images keep their \
                     names below it; `--project` and `--rename` change them."
                ),
                None => {
                    "Write it as in `harbor.corp:8443/offline`, without `https://` and without a \
                         tag."
                        .to_owned()
                }
            }),
            Self::RegistryName { text, .. } => Some(format!(
                "Write it as {}, without a scheme and without a tag.",
                match missing::meant_registry(text) {
                    Some(meant) => format!("`{meant}`"),
                    None => "in `harbor.corp:8443`".to_owned(),
                }
            )),
            Self::OutputTransport { transport, .. } => Some(match transport.as_str() {
                "docker" | "docker-daemon" | "containers-storage" => {
                    "`hod push SRC REGISTRY[/PREFIX]` pushes into a registry; `--format \
                     docker-archive` writes a file for `docker load`."
                        .to_owned()
                }
                "store" | "bundle" => format!("`hod copy SRC {transport}:PATH` writes one."),
                format => format!("Name the path alone, and pass `--format {format}`."),
            }),
            Self::Given { source, .. }
            | Self::List { source, .. }
            | Self::OutputPath { source, .. }
            | Self::Results { source, .. } => source.hint(),
            _ => None,
        }
    }
}

/// The hint for damage that was found.
pub(super) fn where_damaged(kind: SourceKind) -> &'static str {
    match kind.holder() {
        Some(BlobHolder::Store) => {
            "Delete the named files, then pull or unpack again, which fetches only what is \
             missing."
        }
        Some(BlobHolder::Bundle) => {
            "Copy the bundle, or the named volumes of it, again from where it was made, and \
             compare the checksums there and here; if it is damaged there too, pack it again."
        }
        Some(BlobHolder::Other) => {
            "Copy it again from where it is whole, or make it again with what made it."
        }
        None => {
            "Push or copy these images again from where they are whole, with `--recheck`, which asks \
             the registry for every part; damaged content must be deleted there first."
        }
    }
}

/// The hint for a source of images in place of a list.
fn instead_of_a_list(path: &Path, kind: &str) -> String {
    let path = path.display().to_string().replace(hod_fsx::STDIN, "-");
    match kind {
        STORE => format!(
            "`hod push {path} REGISTRY` pushes its images, `hod ls {path}` lists them, and `hod \
             select LIST --store {path} --output TREE` takes a part of them."
        ),
        _ => format!(
            "`hod push {path} REGISTRY` pushes its images, `hod ls {path}` lists them, and `hod \
             unpack {path} --output STORE` makes a store of it."
        ),
    }
}

fn below_hint(below: &[PathBuf]) -> String {
    let read = "Of a directory, hod reads the lists in it and not those in its subdirectories.";
    match below.first() {
        None => read.to_owned(),
        Some(dir) => format!("{read} Name `{}` itself.", dir.display()),
    }
}
