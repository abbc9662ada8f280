//! Reads the tree: entries that no registry creates are reported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hod_fsx::{WalkEntry, WalkKind};
use hod_oci::{Digest, RepositoryName, Tag};
use hod_report::amount::format_count;

use super::problem::{Findings, LinkFault, Problem};
use crate::StoreError;

/// The most that is read of a link file, in bytes; a sha512 digest has 135.
const LINK_LEN_MAX: usize = 256;

/// A blob's data file.
#[derive(Debug)]
pub(super) struct BlobFile {
    pub(super) path: PathBuf,
    pub(super) len: u64,
}

/// The links of a repository.
#[derive(Debug, Default)]
pub(super) struct RepositoryLinks {
    pub(super) layers: BTreeSet<Digest>,
    pub(super) revisions: BTreeSet<Digest>,
    /// The revisions that are linked or were: a registry that deletes one leaves its directory.
    pub(super) revision_dirs: BTreeSet<Digest>,
    pub(super) tags: BTreeMap<Tag, TagLinks>,
    pub(super) has_layers_dir: bool,
}

/// The links of a tag.
#[derive(Debug, Default)]
pub(super) struct TagLinks {
    /// Whether a `current` link exists, regardless of its content.
    pub(super) has_current: bool,
    pub(super) current: Option<Digest>,
    pub(super) past: BTreeSet<Digest>,
}

/// Files that do not belong to a registry and that registries ignore.
#[derive(Debug, Default)]
struct UnknownFiles {
    n_files: usize,
    first: PathBuf,
}

impl UnknownFiles {
    fn add(&mut self, path: &Path) {
        if self.n_files == 0 {
            path.clone_into(&mut self.first);
        }
        self.n_files += 1;
    }

    fn note(self, findings: &mut Findings) {
        if self.n_files > 0 {
            let (n, first) = (format_count(self.n_files, "file"), self.first.display());
            let note = format!("found {n} unknown to registries, first `{first}`");
            findings.notes.push(note);
        }
    }
}

/// Walks `blobs/`.
pub(super) fn scan_blobs(
    root: &Path,
    findings: &mut Findings,
) -> Result<BTreeMap<Digest, BlobFile>, StoreError> {
    let mut blobs = BTreeMap::new();
    let mut unknown_files = UnknownFiles::default();
    for entry in hod_fsx::walk(root, |_| true) {
        let WalkEntry { path, kind } = entry?;
        let components = components_below(root, &path);
        let digest = match components[..] {
            [algorithm, start, hex, "data"] if hex.get(..2) == Some(start) => {
                parse_digest(algorithm, hex)
            }
            _ => None,
        };
        match (kind, digest) {
            (WalkKind::File, Some(digest)) => {
                let len = hod_fsx::stat(&path)?.len;
                blobs.insert(digest, BlobFile { path, len });
            }
            (WalkKind::Dir, None) => {}
            (WalkKind::Dir | WalkKind::Special, _) => {
                findings.problems.push(Problem::NotAFile { path });
            }
            (WalkKind::File, None) if components.last() == Some(&"data") => {
                findings.problems.push(Problem::StrayData { path });
            }
            (WalkKind::File, None) => unknown_files.add(&path),
        }
    }
    unknown_files.note(findings);
    Ok(blobs)
}

/// Walks `repositories/`.
pub(super) fn scan_repositories(
    root: &Path,
    findings: &mut Findings,
) -> Result<BTreeMap<RepositoryName, RepositoryLinks>, StoreError> {
    let mut scan = Scan {
        repositories: BTreeMap::new(),
        unknown_files: UnknownFiles::default(),
        findings,
    };
    // Unfinished uploads belong to the registry alone.
    for entry in hod_fsx::walk(root, |path| path.file_name() != Some("_uploads".as_ref())) {
        let entry = entry?;
        let components = components_below(root, &entry.path);
        scan.visit(&entry, &components);
    }
    scan.unknown_files.note(scan.findings);
    Ok(scan.repositories)
}

struct Scan<'a> {
    repositories: BTreeMap<RepositoryName, RepositoryLinks>,
    unknown_files: UnknownFiles,
    findings: &'a mut Findings,
}

impl Scan<'_> {
    fn visit(&mut self, entry: &WalkEntry, components: &[&str]) {
        let path = &entry.path;
        if entry.kind == WalkKind::Special {
            let path = path.clone();
            self.findings.problems.push(Problem::NotAFile { path });
            return;
        }
        // A name cannot have a component that starts with `_`, so the first one ends it.
        let Some(at) = components.iter().position(|part| part.starts_with('_')) else {
            if entry.kind == WalkKind::File {
                self.unknown_files.add(path);
            }
            return;
        };
        let (name, rest) = components.split_at(at);
        let Ok(name) = name.join("/").parse::<RepositoryName>() else {
            if matches!(rest, ["_layers" | "_manifests"]) {
                let path = path.parent().unwrap_or(path).to_owned();
                let problem = Problem::BadRepositoryName { path };
                self.findings.problems.push(problem);
            }
            return;
        };
        match entry.kind {
            WalkKind::Dir => self.visit_dir(name, path, rest),
            _ => self.visit_file(name, path, rest),
        }
    }

    fn visit_dir(&mut self, name: RepositoryName, path: &Path, rest: &[&str]) {
        match *rest {
            ["_layers"] => self.repositories.entry(name).or_default().has_layers_dir = true,
            ["_manifests"] => {
                self.repositories.entry(name).or_default();
            }
            ["_manifests", "revisions", algorithm, hex] => {
                let repository = self.repositories.entry(name).or_default();
                let digest = parse_digest(algorithm, hex);
                repository.revision_dirs.extend(digest);
            }
            ["_manifests", "tags", tag] => match tag.parse::<Tag>() {
                Ok(tag) => {
                    self.tag(name, tag);
                }
                Err(_) => self.stray_tag(path),
            },
            _ => {}
        }
    }

    fn visit_file(&mut self, name: RepositoryName, path: &Path, rest: &[&str]) {
        match *rest {
            ["_layers", algorithm, hex, "link"] => {
                if let Some(digest) = self.link(path, algorithm, hex) {
                    self.repositories
                        .entry(name)
                        .or_default()
                        .layers
                        .insert(digest);
                }
            }
            ["_manifests", "revisions", algorithm, hex, "link"] => {
                if let Some(digest) = self.link(path, algorithm, hex) {
                    self.repositories
                        .entry(name)
                        .or_default()
                        .revisions
                        .insert(digest);
                }
            }
            ["_manifests", "tags", tag, "index", algorithm, hex, "link"] => {
                let digest = self.link(path, algorithm, hex);
                if let Ok(tag) = tag.parse() {
                    self.tag(name, tag).past.extend(digest);
                }
            }
            ["_manifests", "tags", tag, "current", "link"] => {
                let current = self.read_link(path, None);
                if let Ok(tag) = tag.parse() {
                    let links = self.tag(name, tag);
                    links.has_current = true;
                    links.current = current;
                }
            }
            ["_manifests", "tags", _] => self.stray_tag(path),
            [.., "link"] => self.stray_link(path),
            _ => self.unknown_files.add(path),
        }
    }

    fn tag(&mut self, name: RepositoryName, tag: Tag) -> &mut TagLinks {
        let repository = self.repositories.entry(name).or_default();
        repository.tags.entry(tag).or_default()
    }

    fn stray_tag(&mut self, path: &Path) {
        let path = path.to_owned();
        self.findings.problems.push(Problem::StrayTag { path });
    }

    fn stray_link(&mut self, path: &Path) {
        let path = path.to_owned();
        self.findings.problems.push(Problem::StrayLink { path });
    }

    /// Checks a link whose path has the digest, and returns that digest.
    fn link(&mut self, path: &Path, algorithm: &str, hex: &str) -> Option<Digest> {
        let digest = parse_digest(algorithm, hex);
        match &digest {
            Some(digest) => {
                self.read_link(path, Some(digest));
            }
            None => self.stray_link(path),
        }
        digest
    }

    /// Reads a link, reports it when it is not the bytes of a digest (of `expected`, if given), and
    /// returns what digest can be made out.
    fn read_link(&mut self, path: &Path, expected: Option<&Digest>) -> Option<Digest> {
        let bytes = match link_bytes(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let problem = Problem::unreadable(path, &error);
                self.findings.problems.push(problem);
                return None;
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let digest = text.trim().parse::<Digest>().ok();
        let fault = match &digest {
            _ if bytes.is_empty() => Some(LinkFault::Empty),
            None => Some(LinkFault::NoDigest),
            Some(digest) if expected.is_some_and(|expected| expected != digest) => {
                Some(LinkFault::OtherDigest)
            }
            Some(digest) if bytes != digest.as_str().as_bytes() => Some(LinkFault::WhiteSpace),
            Some(_) => None,
        };
        if let Some(fault) = fault {
            let path = path.to_owned();
            self.findings
                .problems
                .push(Problem::BadLink { path, fault });
        }
        digest
    }
}

/// The start of a link file: enough to validate it.
fn link_bytes(path: &Path) -> Result<Vec<u8>, hod_fsx::Error> {
    let file = hod_fsx::open(path)?;
    let mut buffer = vec![0; LINK_LEN_MAX];
    let n = hod_fsx::read_at(&file, path, &mut buffer, 0)?;
    buffer.truncate(n);
    Ok(buffer)
}

fn parse_digest(algorithm: &str, hex: &str) -> Option<Digest> {
    format!("{algorithm}:{hex}").parse().ok()
}

/// The components of `path` below `root`; one that is not UTF-8 becomes `?`, which matches nothing.
fn components_below<'a>(root: &Path, path: &'a Path) -> Vec<&'a str> {
    path.strip_prefix(root)
        .unwrap_or(path)
        .iter()
        .map(|part| part.to_str().unwrap_or("?"))
        .collect()
}
