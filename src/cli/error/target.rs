//! Why a word cannot be a target of `hod copy`.

use hod_report::{Diagnose, Diagnosis, ErrorClass};
use std::path::PathBuf;

use hod_oci::Registry;
use hod_transfer::TRANSPORTS;

/// A target that is refused before anything is read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("`{target}` is named twice")]
    Twice { target: String },
    /// What is written to one would be a foreign file to the other.
    #[error("one of the targets `{other}` and `{target}` is inside the other")]
    Inside { target: String, other: String },
    /// Nothing, or something in which there are no images.
    #[error("`{text}` is not a registry, a store or a layout")]
    Unclear { text: String },
    #[error("`{text}` is an image, not a target")]
    Image { text: String },
    #[error("`{}` is {kind}, to which no images can be added", path.display())]
    Finished {
        path: PathBuf,
        /// With an article.
        kind: &'static str,
    },
}

impl Diagnose for TargetError {
    fn diagnose(&self) -> Diagnosis {
        let usage = Diagnosis::new(ErrorClass::Usage);
        match self {
            Self::Twice { .. } => usage,
            Self::Inside { .. } => usage.hint("Choose paths of which neither is inside the other."),
            Self::Unclear { text } => {
                let words = TRANSPORTS.iter().map(|(word, _)| format!("`{word}:{text}`"));
                let words = words.collect::<Vec<_>>().join(", ");
                let host = text.split_once('/').map_or(text.as_str(), |(host, _)| host);
                let registry = match host.parse::<Registry>() {
                    Ok(_) => format!(" A registry whose name is one word is `docker://{text}`."),
                    Err(_) => String::new(),
                };
                usage.hint(format!("To create it, say what it is: {words}.{registry}"))
            }
            Self::Image { .. } => usage.hint(
                "A target is a registry, with a prefix if needed: `HOST/PREFIX`. Images keep their \
                 names below it, including the registry in front of a name, unless `--strip-host` or \
                 `--rename` changes them. To copy several images, write them into a list, one per \
                 line, and copy that.",
            ),
            Self::Finished { .. } => usage.hint("Choose another name, or remove it first."),
        }
    }
}
