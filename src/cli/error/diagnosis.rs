//! What each error of a command means.

use std::path::{Path, PathBuf};

use super::{CommandError, STORE, is_absent, missing};
use hod_ops::{OpsError, SourceKind};
use hod_report::ErrorClass::{File, Internal, NotFound, Policy, Usage, Verify};
use hod_report::{Diagnose, Diagnosis, ErrorClass};
use hod_transfer::BlobHolder;

impl Diagnose for CommandError {
    #[expect(clippy::too_many_lines, reason = "an arm for each variant")]
    fn diagnose(&self) -> Diagnosis {
        let usage = |hint: &str| Diagnosis::new(Usage).hint(hint);
        let perhaps = |hint: Option<String>| Diagnosis {
            hint,
            ..Diagnosis::new(Usage)
        };
        match self {
            Self::Ops(OpsError::NoSource { path }) => perhaps(missing::source_hint(path)),
            Self::Ops(error) => error.diagnose(),
            Self::Lists(error) => error.diagnose(),
            Self::File(error) => error.diagnose(),
            Self::Client(error) => error.diagnose(),
            Self::CopyTarget(error) => error.diagnose(),
            Self::Endpoint(error) => missing::diagnose_endpoint(error),
            Self::Sign(error) => error.diagnose(),
            Self::Key { source, .. } => source.diagnose(),
            Self::NotText { source, .. } => source.diagnose(),
            Self::Ca { source, .. } => source.diagnose(),
            Self::Credentials { source, .. } => source.diagnose(),
            Self::Policy(error) => error.diagnose(),
            Self::CapitalScope { .. } => {
                usage("Write the host in lowercase, as hod does with all hosts.")
            }
            Self::RegistriesD(error) => error.diagnose(),
            Self::RegistriesConf(_) => usage("Pass `--no-registries-conf` to ignore the file."),

            // Files that the command line names.
            Self::Given { path, source, .. } if is_absent(source) => {
                perhaps(missing::source_hint(path))
            }
            Self::List { path, source } if is_absent(source) => perhaps(missing::list_hint(path)),
            Self::Given { source, .. }
            | Self::List { source, .. }
            | Self::OutputPath { source, .. } => perhaps(source.diagnose().hint),
            Self::NotAPath { name, content } => usage(instead_of_content(name, content)),
            Self::NotAList { path, kind } => usage(&instead_of_a_list(path, kind)),
            Self::NoLists { below, .. } => usage(&below_hint(below)),
            Self::TrustedDir { .. } => usage(
                "Every `*.pub` file of this directory is a key that bundles must be signed with. \
                 Remove the directory to read bundles that are not signed.",
            ),
            Self::EmptyVariable { name } => usage(&format!(
                "Set `{name}` to a key, or unset it: an empty value would silently turn signatures \
                 off."
            )),
            Self::SyncNowhere { .. } => usage(
                "Name a destination behind it, such as `harbor.corp/project`, or write \
                 `to=HOST/REPOSITORY` on the lines of a list.",
            ),
            Self::BundleName { .. } => usage("The name says whether the bundle is compressed."),
            Self::MergedName { .. } => {
                usage("It is not compressed, since layers are compressed already.")
            }
            Self::ReportName { .. } => usage(
                "The name says what to write: JSON, or JUnit XML, which CI systems show.",
            ),
            Self::PackStdout { .. } => {
                usage("Name a file as the output.")
            }
            Self::OutputRegistry { path } => usage(&format!(
                "`hod push SRC {0}` pushes into it. For a directory of this name, write `./{0}`.",
                path.display()
            )),
            Self::OutputTransport { transport, .. } => usage(&match transport.as_str() {
                "docker" | "docker-daemon" | "containers-storage" => {
                    "`hod push SRC REGISTRY[/PREFIX]` pushes into a registry; `--format \
                     docker-archive` writes a file for `docker load`."
                        .to_owned()
                }
                "store" | "bundle" => format!("`hod copy SRC {transport}:PATH` writes one."),
                format => format!("Name the path alone, and pass `--format {format}`."),
            }),

            // Registries and logins.
            Self::Target { what, text, .. } => usage(&instead_of_a_target(what, text)),
            Self::RegistryName { text, .. } => usage(&format!(
                "Write it as {}, without a scheme and without a tag.",
                match missing::meant_registry(text) {
                    Some(meant) => format!("`{meant}`"),
                    None => "in `harbor.corp:8443`".to_owned(),
                }
            )),
            Self::RegistryAsSource {
                registry,
                source_path,
            } => usage(&format!(
                "Name the source first: `hod push {source_path} {registry}`."
            )),
            Self::RegistryAmongImages { .. } => {
                usage("Name it alone, or name its images: `HOST/REPOSITORY:TAG`.")
            }
            Self::WhoseLogin { .. } => usage(
                "Pass `--source REGISTRY` to say which one it is for, or log in to each of them with \
                 `hod login`.",
            ),
            Self::UserColon { by: "--username" } => usage(
                "Pass the user alone, and the password on stdin with `--password-stdin`.",
            ),
            Self::UserColon { .. } => usage(
                "Set it to the user alone, and the variable of the password to the password.",
            ),
            Self::NobodyToAsk { .. } => usage(
                "Pass `--username USER --password-stdin`, with the password on stdin.",
            ),
            Self::CredsStdin => usage(
                "Pipe it in: `echo \"$USERNAME:$PASSWORD\" | hod ... --creds-stdin`.",
            ),
            Self::NoPassword => {
                usage("Pass the password on stdin: `hod ... --password-stdin < FILE`.")
            }
            Self::Proxy { .. } => usage(
                "Write it as in `http://proxy.corp:3128` or `socks5h://gate.corp:1080`.",
            ),

            // Options that do not fit together.
            Self::OnlyOfRegistries => usage(
                "`--section` chooses a section of the list. To read all of it at one registry, add \
                 `--source REGISTRY`.",
            ),
            Self::SourceOfNothing { .. } => usage(
                "Leave out `--source`: everything that is read there has a name already. `--only \
                 LIST` chooses images of it.",
            ),
            Self::RenameWithoutList => {
                usage("Name the list that was pushed or copied with these flags: `--only LIST`.")
            }
            Self::SectionWithoutList { .. } => usage("Name the list with `--only LIST`."),
            Self::NoSignKey => usage("Pass the key with `--sign KEY`."),
            Self::Locked { .. } => usage(
                "Leave out the option: a lock determines everything that is transferred. To change \
                 it, use the list that the lock was made from.",
            ),
            Self::LockSource { registry } => usage(&format!(
                "Name it with its port: `--source {registry}:443`."
            )),
            Self::Arguments { tip, .. } => perhaps(tip.clone()),
            Self::GivenNoDirectory { .. }
            | Self::Stdin(_)
            | Self::CredsRead(_)
            | Self::LinkNothing
            | Self::SourceDateEpoch { .. }
            | Self::OutputStream { .. }
            | Self::OutputIsInput { .. }
            | Self::OutputTwice { .. }
            | Self::ManyTrees
            | Self::HalfLogin { .. }
            | Self::NotUtf8 { .. }
            | Self::StdinTwice { .. }
            | Self::NoHome
            | Self::RenamedReceipt { .. } => Diagnosis::new(Usage),

            // Looking at registries and deleting from them.
            Self::TagOfTags { repository } => usage(&format!("Write `hod tags {repository}`.")),
            Self::NotARepository { word } => usage(&format!(
                "Add the name of a repository: `{word}/REPOSITORY`. `hod ls {word}` lists all images."
            )),
            Self::TwoPatterns { .. } | Self::ImageTwice { .. } => usage("Give only one of them."),
            Self::Template { .. } => {
                usage("`hod inspect IMAGE --json` shows the fields; `{{json .}}` prints all of them.")
            }
            Self::RepositoryTwice => usage("Leave it out: the first argument is the repository."),
            Self::DeleteAll { registry } => usage(&format!(
                "Name the images: `{registry}/REPOSITORY:TAG`, `'REPOSITORY:*'` for all tags of a \
                 repository, or `--only LIST` for the images of a list."
            )),
            Self::DeleteLocal { .. } => usage(
                "`hod select LIST --store STORE --output TREE` makes a tree without the other images, \
                 and with `--replace` removes them from an existing tree.",
            ),
            Self::DeleteWhere { image } => usage(&format!(
                "Write `HOST/{image}`, pass `--source REGISTRY`, or name the registry and the list: \
                 `hod delete HOST[/PREFIX] --only LIST`."
            )),
            Self::NotConfirmed { .. } => Diagnosis::refused(Policy).hint(
                "Pass `--yes` to delete without being asked; `--dry-run` shows what would be deleted.",
            ),
            Self::AnswerRead(_) => Diagnosis::refused(Internal),

            // Results.
            Self::Results { source, .. } => source.diagnose(),
            Self::Output(_) => Diagnosis::new(File),
            Self::Incomplete { path, .. } if hod_fsx::is_stdin(path) => {
                Diagnosis::refused(NotFound).hint(
                    "The volumes that arrived are as they were packed. Join all of them in order, as \
                     `cat NAME.*.tar` does, or verify only what arrived with `--partial`.",
                )
            }
            Self::Incomplete { .. } => Diagnosis::refused(NotFound).hint(
                "The volumes that are present are intact. Put the missing ones beside \
                 them, name their directory with `--volume-dir`, or verify only what is present \
                 with `--partial`.",
            ),
            Self::Damaged { kind, .. } => Diagnosis::new(Verify).hint(where_damaged(*kind)),
            Self::ImagesAbsent { .. } => Diagnosis::new(Verify).hint(
                "`hod ls` lists the images that exist. Push or pack the missing ones, or correct the \
                 list.",
            ),
            Self::Runtime(_) | Self::Rendering { .. } => Diagnosis::new(Internal),
            Self::Interrupted { .. } => Diagnosis::new(ErrorClass::Interrupted),
        }
    }
}

/// The hint for the content of a file in place of its path.
fn instead_of_content(name: &str, content: &str) -> &'static str {
    match name {
        "HOD_SIGN_KEY" | "--sign" => {
            "Write it to a file of its own, or set `HOD_SIGN_KEY_DATA` to the key."
        }
        "HOD_VERIFY_KEY" | "--verify-key" => {
            "Pass the public key alone, or the path of a file that contains it."
        }
        "REGISTRY_AUTH_FILE" | "DOCKER_CONFIG" | "--authfile" if content == "JSON" => {
            "Write it to a file of its own, or set `DOCKER_AUTH_CONFIG` to it."
        }
        "REGISTRY_AUTH_FILE" | "DOCKER_CONFIG" | "--authfile" => {
            "Pass the path of a file of logins, such as `hod login` writes. `--creds-stdin` reads a \
             login for one run from stdin."
        }
        _ => "Write it to a file of its own.",
    }
}

/// The hint for a text that is not a registry and a prefix.
fn instead_of_a_target(what: &str, text: &str) -> String {
    match missing::meant_registry(text) {
        Some(meant) if missing::names_tag(text) => {
            let host = meant.split('/').next().unwrap_or(&meant);
            format!(
                "Name only the registry: `{host}`, or `{host}/PREFIX`. Images keep their names below \
                 it."
            )
        }
        Some(meant) if what == "`--source`" => {
            format!("Write it as `{meant}`, without a scheme and without a tag.")
        }
        Some(meant) => format!(
            "Write it as `{meant}`, without a scheme and without a tag. Images keep their names \
             below it; `--project` and `--rename` change them."
        ),
        None => "Write it as in `harbor.corp:8443/offline`, without `https://` and without a tag."
            .to_owned(),
    }
}

/// The hint for damage that was found.
fn where_damaged(kind: SourceKind) -> &'static str {
    match kind.holder() {
        Some(BlobHolder::Store) => {
            "Delete the damaged files, if any, then fill the store again with `hod pull`, `hod \
             unpack` or `hod select`: only what is missing is written."
        }
        Some(BlobHolder::Bundle) => {
            "Copy the bundle, or the named volumes of it, again from where it was made, and compare \
             the checksums of both. If the original is damaged too, pack it again."
        }
        Some(BlobHolder::Other) => {
            "Copy it again from an undamaged original, or create it again with the tool that wrote \
             it."
        }
        None => {
            "Delete the damaged content at the registry, then push or copy these images again from \
             an undamaged source with `--recheck`, which asks the registry for every part."
        }
    }
}

/// The hint for a source of images in place of a list.
fn instead_of_a_list(path: &Path, kind: &str) -> String {
    let path = path.display().to_string().replace(hod_fsx::STDIN, "-");
    let read = format!("`hod push {path} REGISTRY` pushes its images, `hod ls {path}` lists them");
    match kind {
        STORE => format!(
            "{read}, and `hod select LIST --store {path} --output TREE` selects some of them."
        ),
        _ => format!("{read}, and `hod unpack {path} --output STORE` creates a store from it."),
    }
}

fn below_hint(below: &[PathBuf]) -> String {
    let read = "Lists in subdirectories are not read.";
    match below.first() {
        None => read.to_owned(),
        Some(dir) => format!("{read} Name `{}` itself.", dir.display()),
    }
}
