//! The images that a YAML file of skopeo's lists.

use std::path::{Path, PathBuf};

use hod_list::{
    BadLines, ListError, ListLine, ListLogin, ListOptions, ListSource, RegistrySettings, TargetUse,
};
use hod_oci::{Registry, RepositoryName, Tag};

use crate::client::RegistryFlags;
use crate::failure::{Done, Failure};
use crate::log::Level;
use crate::name::{ImageName, Named};
use crate::sync::find::{Group, docker};
use crate::sync::syncing::Syncing;
use crate::wording;

/// The longest file that is read.
const FILE_LEN_MAX: u64 = 4 * 1024 * 1024;

/// The lines of one repository.
struct Repository {
    registry: Registry,
    name: RepositoryName,
    lines: Vec<ListLine>,
}

impl Syncing<'_> {
    /// Finds the images of a file: one group for each repository.
    pub(super) async fn of_yaml(&self, flags: &RegistryFlags, path: &str) -> Done<Vec<Group>> {
        let file = path.to_owned();
        let read = hod_bridge::run(move || hod_fsx::read_input(Path::new(&file), FILE_LEN_MAX));
        let bytes = read.await.map_err(|error| wording::of_file(&error))?;
        let unusable = |problem: String| {
            let path = hod_gotext::quote(path);
            Failure::new(format!("Failed to unmarshal {path}: {problem}"))
        };
        let text = String::from_utf8(bytes).map_err(|error| unusable(error.to_string()))?;
        let list = hod_list::parse_with(
            &ListOptions {
                source: &Registry::docker_hub(),
                sections: &[],
                variable: |_| None,
                targets: TargetUse::Name,
                bad_lines: BadLines::Refuse,
                format: None,
            },
            &[ListSource {
                name: path,
                text: &text,
            }],
        );
        let list = match list {
            Ok(list) => list,
            Err(ListError::Empty { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(unusable(error.to_string())),
        };
        for warning in &list.warnings {
            self.log.warn(warning);
        }
        let mut groups = Vec::new();
        for repository in repositories(list.lines) {
            let settings =
                RegistrySettings::of(&list.registries, &repository.registry, &repository.name);
            let flags = settings.map_or_else(|| flags.clone(), |own| with_settings(flags, own));
            let fields = [
                ("registry", repository.registry.to_string()),
                ("repo", repository.name.to_string()),
            ];
            self.log.info("Processing repo", &fields);
            let images = match self.images(&flags, &repository).await {
                Ok(images) => images,
                Err(failure) => {
                    let text = "Error processing repo, skipping";
                    self.log.line(Level::Error, text, &fields);
                    self.log.error(&failure.text);
                    continue;
                }
            };
            if images.is_empty() {
                self.log
                    .line(Level::Warning, "No refs to sync found", &fields);
                continue;
            }
            groups.push(Group {
                images,
                dir: None,
                flags,
            });
        }
        Ok(groups)
    }

    async fn images(&self, flags: &RegistryFlags, repository: &Repository) -> Done<Vec<ImageName>> {
        let name_only = Named::of_repository(repository.registry.clone(), repository.name.clone());
        let mut tags: Option<Vec<Tag>> = None;
        let mut images: Vec<ImageName> = Vec::new();
        for line in &repository.lines {
            let found: Vec<Named> = match line {
                ListLine::Image(entry) => vec![Named {
                    tag: entry.reference.tag.clone(),
                    digest: entry.reference.digest.clone(),
                    ..name_only.clone()
                }],
                ListLine::Pattern(pattern) => {
                    if tags.is_none() {
                        let fields = [
                            ("registry", repository.registry.to_string()),
                            ("repo", repository.name.to_string()),
                        ];
                        self.log.info("Querying registry for image tags", &fields);
                        tags = Some(self.tags(flags, &name_only).await?);
                    }
                    let tags = tags.iter().flatten();
                    let tags = tags.filter(|tag| pattern.tags.matches(tag));
                    tags.map(|tag| name_only.with_tag(tag.clone())).collect()
                }
            };
            for image in found.into_iter().map(docker) {
                if !images.contains(&image) {
                    images.push(image);
                }
            }
        }
        Ok(images)
    }
}

/// The lines by their repositories, in order of appearance.
fn repositories(lines: Vec<ListLine>) -> Vec<Repository> {
    let mut repositories: Vec<Repository> = Vec::new();
    for line in lines {
        let reference = line.stem().reference.clone();
        let registry = reference.registry.unwrap_or_else(Registry::docker_hub);
        let name = if registry.is_docker_hub() {
            reference.repository.with_library()
        } else {
            reference.repository
        };
        let is_same = |known: &&mut Repository| known.registry == registry && known.name == name;
        match repositories.iter_mut().find(is_same) {
            Some(known) => known.lines.push(line),
            None => repositories.push(Repository {
                registry,
                name,
                lines: vec![line],
            }),
        }
    }
    repositories
}

/// The flags with what the file says about a registry.
fn with_settings(flags: &RegistryFlags, settings: &RegistrySettings) -> RegistryFlags {
    let mut flags = flags.clone();
    flags.tls_verify = settings.tls_verify.or(flags.tls_verify);
    if let Some(dir) = &settings.cert_dir {
        flags.cert_dir = Some(PathBuf::from(dir));
    }
    match &settings.login {
        Some(ListLogin::Password { username, password }) => {
            flags.creds = None;
            flags.username = Some(username.clone());
            flags.password = Some(password.clone());
        }
        Some(ListLogin::IdentityToken(token)) => flags.identity_token = Some(token.clone()),
        None => {}
    }
    flags
}
