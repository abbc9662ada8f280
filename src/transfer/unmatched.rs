//! The reasons why a tag pattern matches no images.

use hod_oci::{Registry, Tag};
use hod_report::Hint;
use hod_report::amount::format_count;

/// A pattern without matches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmatched {
    #[error("repository not found on `{registry}`")]
    NoRepository { registry: Registry },
    #[error("no tag matches; the repository has {}", format_count(*n_tags, "tag"))]
    NoTag {
        n_tags: usize,
        /// Some of them.
        newest: Vec<Tag>,
    },
    #[error("{} match, and at most {n_max} are taken", format_count(*n_tags, "tag"))]
    TooMany { n_tags: usize, n_max: usize },
}

impl Hint for Unmatched {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoRepository { registry } if registry.is_docker_hub() => Some(
                "check the name; names without a registry come from docker.io, unless `--source \
                 REGISTRY` names another"
                    .to_owned(),
            ),
            Self::NoRepository { .. } => Some("check the name".to_owned()),
            Self::NoTag { newest, .. } if newest.is_empty() => None,
            Self::NoTag { newest, .. } => {
                let tags: Vec<String> = newest.iter().map(|tag| format!("`{tag}`")).collect();
                Some(format!(
                    "check the pattern; the newest tags are {}. A regular expression (`~`) must \
                     match the whole tag, and a range of versions leaves out pre-releases such as \
                     `1.27-rc1` and `1.27-alpine`",
                    tags.join(", ")
                ))
            }
            Self::TooMany { .. } => {
                Some("choose fewer: `limit=N` on the line takes the newest N".to_owned())
            }
        }
    }
}
