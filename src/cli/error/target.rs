//! Why a word cannot be a target of `hod copy`.

use std::path::PathBuf;

use crate::hint::Hint;
use crate::transfer::{TRANSPORTS, Transport};

/// A target that is refused before anything is read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("`{target}` is named twice")]
    Twice { target: String },
    /// Nothing, or something in which there are no images.
    #[error("`{text}` is not a registry, a store or a layout")]
    Unclear { text: String },
    #[error("`{}` is {kind}, to which no images can be added", path.display())]
    Finished {
        path: PathBuf,
        /// With an article.
        kind: &'static str,
    },
    #[error("`{}` is to be a bundle, which `hod copy` does not write", path.display())]
    Bundle { path: PathBuf },
}

impl Hint for TargetError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Twice { .. } => return None,
            Self::Unclear { text } => {
                let transports = TRANSPORTS.iter();
                let written = transports.filter(|(_, transport)| *transport != Transport::Bundle);
                let words: Vec<String> = written
                    .map(|(word, _)| format!("`{word}:{text}`"))
                    .collect();
                format!(
                    "To create it, say what it is: {}. A registry whose name is one word is \
                     `docker://{text}`.",
                    words.join(", ")
                )
            }
            Self::Finished { .. } => "Choose another name, or remove it first.".to_owned(),
            Self::Bundle { path } => format!(
                "Copy the images to a store, and pack that: `hod pack STORE --output {}`.",
                path.display()
            ),
        })
    }
}
