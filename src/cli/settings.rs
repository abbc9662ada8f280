//! Flags, environment and files, merged once; nothing above this reads them again.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::{ListArgs, OnlyArgs, RegistryArgs, RenameArgs};
use super::error::CommandError;
use crate::fsx;
use crate::list::{self, HostPart, ImageList, ListSource, RenameRules};
use crate::oci::{Registry, RepositoryName};
use crate::registry::{Client, ClientOptions, Credentials, RegistriesConf, RetryPolicy};
use crate::report::Reporter;

/// The longest list that is read, in bytes.
const LIST_LEN_MAX: u64 = 16 * 1024 * 1024;
/// The longest docker configuration that is read, in bytes.
const CONFIG_LEN_MAX: u64 = 4 * 1024 * 1024;

#[expect(
    clippy::disallowed_methods,
    reason = "the one reader of the environment"
)]
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether the user asked every program for no colour (<https://no-color.org>).
pub(crate) fn no_colour() -> bool {
    environment("NO_COLOR").is_some()
}

/// The time of the members of a bundle: `SOURCE_DATE_EPOCH`, or 0.
pub(crate) fn source_date_epoch() -> Result<u64, CommandError> {
    let Some(value) = environment("SOURCE_DATE_EPOCH") else {
        return Ok(0);
    };
    let text = value.to_string_lossy().into_owned();
    text.parse()
        .map_err(|_| CommandError::SourceDateEpoch { value: text })
}

/// A client with the user's credentials.
pub(crate) fn client(
    args: &RegistryArgs,
    reporter: &Arc<dyn Reporter>,
) -> Result<Client, CommandError> {
    let credentials = match docker_config_path() {
        Some(path) => match fsx::try_read(&path, CONFIG_LEN_MAX)? {
            Some(bytes) => Credentials::parse_docker_config(&bytes)
                .map_err(|source| CommandError::Credentials { path, source })?,
            None => Credentials::anonymous(),
        },
        None => Credentials::anonymous(),
    };
    let options = ClientOptions {
        credentials,
        trust: crate::registry::TrustOptions::default(),
        registries_conf: RegistriesConf::default(),
        plain_http: args.plain_http.clone(),
        retry: retry_policy(args),
        reporter: Arc::clone(reporter),
        user_agent: concat!("hod/", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    Ok(Client::new(options)?)
}

/// How often, and how patiently, to try again.
pub(crate) fn retry_policy(args: &RegistryArgs) -> RetryPolicy {
    RetryPolicy {
        attempts: args.retries.saturating_add(1),
        base: Duration::from_millis(500),
        max: Duration::from_mins(1),
    }
}

/// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
fn docker_config_path() -> Option<PathBuf> {
    let dir = match environment("DOCKER_CONFIG") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(&environment("HOME")?).join(".docker"),
    };
    Some(dir.join("config.json"))
}

/// Reads and parses lists that a verb needs.
///
/// `source` is the registry of names that name none, which decides what is a duplicate.
pub(crate) fn image_list(args: &ListArgs, source: &Registry) -> Result<ImageList, CommandError> {
    read_lists(&args.lists, &args.section, source)
}

/// Reads and parses lists that narrow a verb, if there are any.
pub(crate) fn only_list(args: &OnlyArgs) -> Result<Option<ImageList>, CommandError> {
    if args.only.is_empty() {
        return Ok(None);
    }
    read_lists(&args.only, &args.section, &Registry::docker_hub()).map(Some)
}

/// Reads every file, every list of every directory, and stdin for `-`; parses them as one.
pub(crate) fn read_lists(
    paths: &[PathBuf],
    sections: &[String],
    source: &Registry,
) -> Result<ImageList, CommandError> {
    let mut texts: Vec<(String, String)> = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .take(LIST_LEN_MAX)
                .read_to_end(&mut bytes)
                .map_err(CommandError::Stdin)?;
            texts.push(("<stdin>".to_owned(), text(Path::new("<stdin>"), bytes)?));
            continue;
        }
        let mut files = vec![path.clone()];
        if fsx::try_stat(path)?.is_some_and(|stat| stat.is_dir) {
            files = fsx::read_dir_names(path)?
                .into_iter()
                .map(|name| path.join(name))
                .collect();
            files.retain(|file| {
                file.extension()
                    .is_some_and(|extension| extension == "list" || extension == "txt")
            });
            if files.is_empty() {
                return Err(CommandError::NoLists { path: path.clone() });
            }
        }
        for file in files {
            let bytes = fsx::read(&file, LIST_LEN_MAX).map_err(|source| CommandError::List {
                path: file.clone(),
                source,
            })?;
            texts.push((file.display().to_string(), text(&file, bytes)?));
        }
    }
    let sources: Vec<ListSource<'_>> = texts
        .iter()
        .map(|(name, text)| ListSource { name, text })
        .collect();
    Ok(list::parse_from(source, &sources, sections)?)
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, CommandError> {
    String::from_utf8(bytes).map_err(|_| CommandError::NotText {
        path: path.to_owned(),
    })
}

/// The rename rules, with the prefix of a push's target.
pub(crate) fn rename_rules(args: &RenameArgs, prefix: Option<RepositoryName>) -> RenameRules {
    RenameRules {
        host: if args.strip_host {
            HostPart::Strip
        } else {
            HostPart::Keep
        },
        project: args.project.clone(),
        renames: args.rename.clone(),
        prefix,
    }
}
