//! The images that are to be synchronized.

use std::path::{Path, PathBuf};

use hod_oci::Tag;

use crate::client::RegistryFlags;
use crate::failure::{Done, Failure};
use crate::name::{ImageName, Named};
use crate::sync::syncing::{From, Syncing};
use crate::wording;

/// Images that are read in the same way.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) images: Vec<ImageName>,
    /// The directory that layouts were found in.
    pub(crate) dir: Option<PathBuf>,
    /// How their registry is reached.
    pub(crate) flags: RegistryFlags,
}

impl Group {
    /// What an image's destination ends with.
    pub(crate) fn suffix(&self, image: &ImageName, is_scoped: bool) -> String {
        let whole = match (image, &self.dir) {
            (ImageName::Dir { path, .. }, Some(dir)) => {
                let below = path.strip_prefix(dir).unwrap_or(path);
                if below.as_os_str().is_empty() {
                    base(&dir.to_string_lossy()).to_owned()
                } else {
                    below.to_string_lossy().into_owned()
                }
            }
            (ImageName::Docker { named, .. }, _) => named.to_string(),
            (image, _) => image.to_string(),
        };
        if is_scoped {
            whole
        } else {
            base(&whole).to_owned()
        }
    }
}

/// The last component of a path.
fn base(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit_once('/').map_or(path, |(_, base)| base)
}

impl Syncing<'_> {
    /// Finds the images of a source.
    pub(super) async fn find(&self, from: From, source: &str) -> Done<Vec<Group>> {
        let flags = self.flags.copy.source.clone();
        flags.check()?;
        match from {
            From::Docker => {
                let images = self.of_registry(&flags, source).await?;
                Ok(vec![Group {
                    images,
                    dir: None,
                    flags,
                }])
            }
            From::Dir => {
                let dir = PathBuf::from(source);
                let found = dir.clone();
                let images = hod_bridge::run(move || of_dir(&found)).await?;
                if images.is_empty() {
                    return Err(nothing(source));
                }
                Ok(vec![Group {
                    images,
                    dir: Some(dir),
                    flags,
                }])
            }
            From::Yaml => self.of_yaml(&flags, source).await,
        }
    }

    async fn of_registry(&self, flags: &RegistryFlags, source: &str) -> Done<Vec<ImageName>> {
        let named = Named::parse(source).map_err(|error| {
            Failure::new(format!(
                "Cannot obtain a valid image reference for transport \"docker\" and reference {}: {error}",
                hod_gotext::quote(source)
            ))
        })?;
        let is_tagged = !named.is_name_only();
        let fields = [
            ("imagename", source.to_owned()),
            ("tagged", is_tagged.to_string()),
        ];
        self.log.info("Tag presence check", &fields);
        if is_tagged {
            if named.tag.is_some() && named.digest.is_some() {
                return Err(Failure::new(format!(
                    "Cannot obtain a valid image reference for transport \"docker\" and reference {}: {}",
                    hod_gotext::quote(named.to_string()),
                    crate::name::NameError::TagAndDigest
                )));
            }
            return Ok(vec![docker(named)]);
        }
        let images = self.tagged(flags, &named).await?;
        if images.is_empty() {
            return Err(nothing(source));
        }
        Ok(images)
    }

    /// The image of each tag of a repository.
    async fn tagged(&self, flags: &RegistryFlags, named: &Named) -> Done<Vec<ImageName>> {
        let tags = self.tags(flags, named).await?;
        let images = tags.into_iter().map(|tag| docker(named.with_tag(tag)));
        Ok(images.collect())
    }

    /// The tags of a repository, in the registry's order.
    pub(super) async fn tags(&self, flags: &RegistryFlags, named: &Named) -> Done<Vec<Tag>> {
        self.log.info("Getting tags", &[("image", named.name())]);
        let during = |error: Failure| {
            error.during(format!(
                "Error determining repository tags for repo {}",
                named.name()
            ))
        };
        let opened = self.sources.open(self.host, flags, named).await;
        let registry = opened.map_err(during)?;
        let tags = registry.client.tags.list(&registry.repo).await;
        tags.map_err(|error| during(wording::of_tags(&error)))
    }
}

pub(super) fn docker(named: Named) -> ImageName {
    ImageName::Docker {
        named,
        is_digest_unknown: false,
    }
}

fn nothing(source: &str) -> Failure {
    let source = hod_gotext::quote(source);
    Failure::new(format!("No images to sync found in {source}"))
}

/// The layouts below a directory, in the order of their paths. Blocks.
fn of_dir(dir: &Path) -> Done<Vec<ImageName>> {
    hod_fsx::stat(dir).map_err(|error| {
        wording::of_file_call("stat", &error).during("Invalid source directory specified")
    })?;
    let mut paths = Vec::new();
    for entry in hod_fsx::walk(dir, |_| true) {
        let entry = entry.map_err(|error| {
            let dir = hod_gotext::quote(dir.display().to_string());
            wording::of_file(&error).during(format!("Error walking the path {dir}"))
        })?;
        if entry
            .path
            .file_name()
            .is_some_and(|name| name == "manifest.json")
        {
            paths.extend(entry.path.parent().map(Path::to_owned));
        }
    }
    paths.sort();
    let name = |path: PathBuf| ImageName::Dir {
        explicit: path.clone(),
        path,
    };
    Ok(paths.into_iter().map(name).collect())
}
