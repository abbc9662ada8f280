//! What templates know of a bundle.

use std::collections::BTreeMap;

use minijinja::{Value, context};
use serde::Serialize;

use hod_oci::Digest;
use hod_report::amount::format_len;

/// The description of a bundle, for templates.
#[derive(Debug, Clone)]
pub struct Facts {
    pub name: String,
    pub version: Option<String>,
    /// The file name of the bundle without its extension, for commands to copy.
    pub stem: String,
    pub kind: BundleKind,
    pub tool_version: String,
    pub images: Vec<ImageFacts>,
    pub n_blobs: usize,
    /// Bytes of all blobs.
    pub len: u64,
    /// The number of further blobs that the target must have.
    pub n_base: usize,
    /// The names of the bundles, stores and registries that have these.
    pub base: Vec<String>,
    /// The programs that are carried.
    pub tools: Vec<ToolFacts>,
    /// Other carried files, except texts generated from templates.
    pub files: Vec<FileFacts>,
    /// Values that the user set, available to templates as `set.KEY`.
    pub set: BTreeMap<String, String>,
}

/// The form of a bundle on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BundleKind {
    /// `STEM.tar`
    One,
    /// `STEM.001.tar`, `STEM.002.tar` …
    Volumes,
    /// `STEM.tar.zst`
    Compressed,
}

/// One image of a bundle.
#[derive(Debug, Clone)]
pub struct ImageFacts {
    pub name: String,
    pub digest: Digest,
    /// Bytes of its blobs, those shared with other images included.
    pub len: u64,
}

/// A hod that a bundle carries, at `hod/bin/hod-linux-ARCH`.
#[derive(Debug, Clone)]
pub struct ToolFacts {
    /// As Go names it: `amd64`.
    pub arch: String,
    pub digest: Digest,
}

/// A file that a bundle carries.
#[derive(Debug, Clone)]
pub struct FileFacts {
    pub path: String,
    pub digest: Digest,
    pub len: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    digest: &'a Digest,
    size: String,
}

impl Facts {
    /// The name, and the version where there is one.
    fn title(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.clone(),
        }
    }

    /// The place of the images for clients: the registry without its path, and the prefix of every
    /// name there, according to a push to `set.registry` with `--project` of `set.project`.
    fn mirror(&self) -> Value {
        let given = |key: &str| self.set.get(key).map_or("", |text| text.trim_matches('/'));
        let registry = given("registry");
        let (host, path) = registry.split_once('/').unwrap_or((registry, ""));
        let parts = [path, given("project")];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        context! {
            host => if host.is_empty() { "REGISTRY" } else { host },
            prefix => parts.join("/"),
        }
    }

    pub(super) fn context(&self) -> Value {
        let title = self.title();
        let arches: Vec<&str> = self.tools.iter().map(|tool| tool.arch.as_str()).collect();
        let images = self.images.iter().map(|image| Row {
            name: &image.name,
            digest: &image.digest,
            size: format_len(image.len),
        });
        let tools = self.tools.iter().map(|tool| {
            context! { arch => tool.arch, sha256 => tool.digest.hex() }
        });
        let files = self.files.iter().map(|file| {
            context! {
                path => file.path,
                sha256 => file.digest.hex(),
                size => format_len(file.len),
            }
        });
        context! {
            rule => "=".repeat(title.chars().count()),
            title => title,
            name => self.name,
            version => self.version.as_deref().unwrap_or_default(),
            stem => self.stem,
            kind => self.kind,
            tool_version => self.tool_version,
            n_images => self.images.len(),
            n_blobs => self.n_blobs,
            n_base => self.n_base,
            base => self.base,
            size => format_len(self.len),
            images => images.collect::<Vec<_>>(),
            arches => arches.join(", "),
            tools => tools.collect::<Vec<_>>(),
            files => files.collect::<Vec<_>>(),
            set => self.set,
            mirror => self.mirror(),
        }
    }
}
