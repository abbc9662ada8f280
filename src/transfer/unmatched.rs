//! The reasons why a tag pattern matches no images.

use hod_oci::{Registry, Tag};
use hod_report::ErrorClass::{NotFound, Policy};
use hod_report::amount::format_count;
use hod_report::{Diagnose, Diagnosis};

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
    #[error("{} match, but at most {n_max} are allowed", format_count(*n_tags, "tag"))]
    TooMany { n_tags: usize, n_max: usize },
}

impl Diagnose for Unmatched {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::NoRepository { registry } if registry.is_docker_hub() => Diagnosis::refused(
                NotFound,
            )
            .hint(
                "Check the name. Names without a registry come from docker.io, unless `--source \
                     REGISTRY` names another one.",
            ),
            Self::NoRepository { .. } => Diagnosis::refused(NotFound).hint("Check the name."),
            Self::NoTag { newest, .. } if newest.is_empty() => Diagnosis::refused(NotFound),
            Self::NoTag { newest, .. } => {
                let tags: Vec<String> = newest.iter().map(|tag| format!("`{tag}`")).collect();
                Diagnosis::refused(NotFound).hint(format!(
                    "Check the pattern. The newest tags are {}. A regular expression (`~`) must \
                     match the whole tag, and a range of versions leaves out pre-releases such as \
                     `1.27-rc1` and `1.27-alpine`.",
                    tags.join(", ")
                ))
            }
            Self::TooMany { .. } => Diagnosis::refused(Policy)
                .hint("Choose fewer: `limit=N` on the line takes the newest N."),
        }
    }
}
