//! Texts that go into a bundle, from `templates/`.

use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;

use crate::oci::Digest;
use crate::report::amount::format_len;

const README: &str = include_str!("../templates/README.txt");

/// What a bundle's `README.txt` says of it.
#[derive(Debug, Clone)]
pub struct ReadmeFacts {
    pub name: String,
    pub version: Option<String>,
    /// The bundle's file name, for commands to copy.
    pub bundle_file: String,
    pub is_compressed: bool,
    pub tool_version: String,
    pub images: Vec<ReadmeImage>,
    pub n_blobs: usize,
    /// Bytes of all blobs.
    pub len: u64,
}

/// One image in a `README.txt`.
#[derive(Debug, Clone)]
pub struct ReadmeImage {
    pub name: String,
    pub digest: Digest,
    /// Bytes of its blobs, those shared with other images included.
    pub len: u64,
}

/// A template that does not fit its facts.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the bundle's README.txt")]
pub struct TemplateError(#[from] minijinja::Error);

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    digest: &'a Digest,
    size: String,
}

/// Renders the text for people who find a bundle and have nothing else; equal facts give equal
/// bytes.
pub fn readme_txt(facts: &ReadmeFacts) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_keep_trailing_newline(true);
    let title_len = facts.name.chars().count()
        + facts
            .version
            .as_ref()
            .map_or(0, |version| version.chars().count() + 1);
    let images = facts.images.iter().map(|image| Row {
        name: &image.name,
        digest: &image.digest,
        size: format_len(image.len),
    });
    let text = environment.render_str(
        README,
        context! {
            name => facts.name,
            version => facts.version,
            rule => "=".repeat(title_len),
            file => facts.bundle_file,
            compressed => facts.is_compressed,
            tool_version => facts.tool_version,
            n_images => facts.images.len(),
            n_blobs => facts.n_blobs,
            size => format_len(facts.len),
            images => images.collect::<Vec<_>>(),
        },
    )?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(file: &str) -> ReadmeFacts {
        ReadmeFacts {
            name: "site-a".to_owned(),
            version: Some("3.1.1".to_owned()),
            bundle_file: file.to_owned(),
            is_compressed: file.contains("zst"),
            tool_version: "0.1.0".to_owned(),
            images: vec![ReadmeImage {
                name: "library/redis:7".to_owned(),
                digest: Digest::of(b""),
                len: 3 << 20,
            }],
            n_blobs: 4,
            len: (3 << 30) + (1 << 29),
        }
    }

    #[test]
    fn the_readme_has_commands_that_fit_the_file() {
        let plain = readme_txt(&facts("site-a.tar")).unwrap();
        assert!(
            plain.starts_with("site-a 3.1.1\n============\n\n"),
            "{plain}"
        );
        assert!(plain.contains("1 image in 4 blobs, 3.5 GiB.\n"), "{plain}");
        assert!(
            plain.contains("\n    tar -x -f site-a.tar -C registry-data\n"),
            "{plain}"
        );
        assert!(
            plain.contains("\nlibrary/redis:7\n    sha256:e3b0c442"),
            "{plain}"
        );
        assert!(plain.ends_with(", 3.0 MiB\n"), "{plain}");
        let compressed = readme_txt(&facts("site-a.tar.zst")).unwrap();
        assert!(
            compressed.contains("tar -x --zstd -f site-a.tar.zst"),
            "{compressed}"
        );
    }
}
