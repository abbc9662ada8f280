//! Why a word cannot be a target of `hod copy`.

use std::path::PathBuf;

use hod_report::Hint;
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
    #[error("`{text}` is an image, and not a target")]
    Image { text: String },
    #[error("`{}` is {kind}, to which no images can be added", path.display())]
    Finished {
        path: PathBuf,
        /// With an article.
        kind: &'static str,
    },
}

impl Hint for TargetError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Twice { .. } => return None,
            Self::Inside { .. } => "Choose paths of which neither is inside the other.".to_owned(),
            Self::Unclear { text } => {
                let transports = TRANSPORTS.iter();
                let words: Vec<String> = transports
                    .map(|(word, _)| format!("`{word}:{text}`"))
                    .collect();
                format!(
                    "To create it, say what it is: {}. A registry whose name is one word is \
                     `docker://{text}`.",
                    words.join(", ")
                )
            }
            Self::Image { .. } => {
                "A target is a registry and, if need be, a prefix, `HOST/PREFIX`: images keep their \
                 names below it, also the registry in front of a name, unless `--strip-host` or \
                 `--rename` says otherwise. To copy several images, write \
                 them into a list, one a line, and copy that."
                    .to_owned()
            }
            Self::Finished { .. } => "Choose another name, or remove it first.".to_owned(),
        })
    }
}
