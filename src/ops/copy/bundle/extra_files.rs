//! Files that a bundle carries in addition to images: the tool, texts from templates, files of the
//! user's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::carry_error::{CarryError, N_TEMPLATES_MAX};
use super::elf::{self, NotATool};
use hod_bundle::{BundleFile, EntryPath, FileContent};
use hod_fsx::WalkKind;
use hod_oci::{Algorithm, Digest};
use hod_template::{FileFacts, Template, ToolFacts};

/// Maximum length of a template in bytes.
const TEMPLATE_LEN_MAX: u64 = 1 << 20;
/// The running program, even if its file was replaced or removed.
const RUNNING: &str = "/proc/self/exe";

/// Files to carry in addition to images.
#[derive(Debug, Clone, Default)]
pub struct CarryOptions {
    /// Files and directories, and their destinations.
    pub files: Vec<ExtraFile>,
    /// Static hods, one an architecture.
    pub tools: Vec<PathBuf>,
    pub own_tool: OwnTool,
    /// Templates that replace or extend the built-in ones.
    pub template_dir: Option<PathBuf>,
    /// The values of `set.KEY` in templates.
    pub set: BTreeMap<String, String>,
}

/// A file or directory to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraFile {
    pub source: PathBuf,
    /// The path in the bundle; with a slash at its end, the directory to put it in.
    pub destination: String,
}

/// Whether the hod that packs is extra.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OwnTool {
    /// If it is static, and no other of its architecture is given.
    #[default]
    Carry,
    Leave,
}

/// The files found, and the facts about them that texts need.
#[derive(Debug, Default)]
pub(super) struct ExtraFiles {
    found: BTreeMap<String, Found>,
    pub(super) tools: Vec<ToolFacts>,
    pub(super) files: Vec<FileFacts>,
    pub(super) templates: Vec<Template>,
    pub(super) set: BTreeMap<String, String>,
    /// Why the running hod is not extra, although it should be.
    pub(super) left: Option<NotATool>,
}

#[derive(Debug)]
struct Found {
    path: EntryPath,
    /// The path to read; it is not kept open, because there can be many.
    source: PathBuf,
    len: u64,
    digest: Digest,
    executable: bool,
}

/// Finds and hashes all that is to be carried; blocking.
pub(super) fn gather(options: &CarryOptions) -> Result<ExtraFiles, crate::OpsError> {
    let mut extra = ExtraFiles {
        set: options.set.clone(),
        ..ExtraFiles::default()
    };
    extra.gather_tools(options)?;
    for file in &options.files {
        extra.gather_file(file)?;
    }
    if let Some(dir) = &options.template_dir {
        extra.gather_templates(dir)?;
    }
    let unused = hod_template::unused_settings(options.set.keys(), &extra.templates);
    if let Some((unused, known)) = unused
        && let Some(key) = unused.first()
    {
        let (key, known) = ((*key).clone(), known.into_iter().collect());
        return Err(CarryError::Setting { key, known }.into());
    }
    Ok(extra)
}

impl ExtraFiles {
    fn gather_tools(&mut self, options: &CarryOptions) -> Result<(), crate::OpsError> {
        let mut arches: BTreeMap<&'static str, PathBuf> = BTreeMap::new();
        for path in &options.tools {
            let arch = elf::tool_arch(path)?.map_err(|problem| CarryError::Tool {
                path: path.clone(),
                problem,
            })?;
            if arches.insert(arch, path.clone()).is_some() {
                let path = path.clone();
                return Err(CarryError::ToolTwice { path, arch }.into());
            }
        }
        let running = PathBuf::from(RUNNING);
        if options.own_tool == OwnTool::Carry {
            match elf::tool_arch(&running) {
                Ok(Ok(arch)) => drop(arches.entry(arch).or_insert(running)),
                Ok(Err(problem)) if arches.is_empty() => self.left = Some(problem),
                // Without /proc the running program is not accessible.
                Err(_) if arches.is_empty() => self.left = Some(NotATool::NotLinux),
                _ => {}
            }
        }
        for (arch, source) in arches {
            let destination = format!("hod/bin/hod-linux-{arch}");
            let found = self.add(&source, destination, Kind::Tool)?;
            let digest = found.digest.clone();
            let arch = arch.to_owned();
            self.tools.push(ToolFacts { arch, digest });
        }
        Ok(())
    }

    fn gather_file(&mut self, file: &ExtraFile) -> Result<(), crate::OpsError> {
        let source = &file.source;
        let stat = hod_fsx::try_stat(source)?;
        let nothing = || CarryError::Nothing {
            path: source.clone(),
        };
        let stat = stat.ok_or_else(nothing)?;
        let mut destination = file.destination.clone();
        if destination.ends_with('/') {
            destination += text_of(source.file_name().map(Path::new), source)?;
        }
        if stat.is_file {
            return self.add_file(source, destination);
        }
        let mut n_files = 0;
        for entry in hod_fsx::walk(source, |_| true) {
            let entry = entry?;
            let special = || CarryError::Special {
                path: entry.path.clone(),
            };
            match entry.kind {
                WalkKind::Dir => {}
                WalkKind::Special => return Err(special().into()),
                WalkKind::File => {
                    let below = entry.path.strip_prefix(source).ok();
                    let below = text_of(below, &entry.path)?;
                    self.add_file(&entry.path, format!("{destination}/{below}"))?;
                    n_files += 1;
                }
            }
        }
        if n_files == 0 {
            return Err(nothing().into());
        }
        Ok(())
    }

    fn add_file(&mut self, source: &Path, destination: String) -> Result<(), crate::OpsError> {
        let found = self.add(source, destination, Kind::File)?;
        let facts = FileFacts {
            path: found.path.to_string(),
            digest: found.digest.clone(),
            len: found.len,
        };
        self.files.push(facts);
        Ok(())
    }

    fn add(
        &mut self,
        source: &Path,
        destination: String,
        kind: Kind,
    ) -> Result<&Found, crate::OpsError> {
        let path: EntryPath = destination.parse().map_err(|error| CarryError::Path {
            path: source.to_owned(),
            source: error,
        })?;
        let first = destination.split('/').next().unwrap_or_default();
        if kind == Kind::File && matches!(first, "hod" | "docker") {
            let path = source.to_owned();
            return Err(CarryError::Reserved { path, destination }.into());
        }
        let (len, digest) = hash(source)?;
        let found = Found {
            path,
            source: source.to_owned(),
            len,
            digest,
            executable: kind == Kind::Tool || hod_fsx::stat(source)?.is_executable(),
        };
        match self.found.entry(destination) {
            std::collections::btree_map::Entry::Vacant(place) => Ok(place.insert(found)),
            std::collections::btree_map::Entry::Occupied(place) => Err(CarryError::Twice {
                path: source.to_owned(),
                destination: place.key().clone(),
            }
            .into()),
        }
    }

    fn gather_templates(&mut self, dir: &Path) -> Result<(), crate::OpsError> {
        if hod_fsx::try_stat(dir)?.is_none_or(|stat| !stat.is_dir) {
            return Err(CarryError::Nothing {
                path: dir.to_owned(),
            }
            .into());
        }
        for entry in hod_fsx::walk(dir, |_| true) {
            let entry = entry?;
            let path = || entry.path.clone();
            match entry.kind {
                WalkKind::Dir => continue,
                WalkKind::Special => return Err(CarryError::Special { path: path() }.into()),
                WalkKind::File => {}
            }
            if self.templates.len() == N_TEMPLATES_MAX {
                let path = dir.to_owned();
                return Err(CarryError::ManyTemplates { path }.into());
            }
            let name = text_of(entry.path.strip_prefix(dir).ok(), &entry.path)?.to_owned();
            let text = String::from_utf8(hod_fsx::read(&entry.path, TEMPLATE_LEN_MAX)?);
            self.templates.push(Template {
                name,
                text: text.map_err(|_| CarryError::NotText { path: path() })?,
                executable: hod_fsx::stat(&entry.path)?.is_executable(),
            });
        }
        Ok(())
    }

    /// All extra files of the bundle: those that were found, and the texts rendered from `facts`.
    pub(super) fn files(
        &self,
        facts: &hod_template::Facts,
        own: &[(&str, String)],
    ) -> Result<Vec<BundleFile>, crate::OpsError> {
        let mut files = Vec::new();
        let mut taken: BTreeSet<String> = self.found.keys().cloned().collect();
        let own = own.iter().map(|(name, text)| hod_template::Rendered {
            name: (*name).to_owned(),
            text: text.clone(),
            executable: false,
        });
        let rendered = hod_template::render(facts, &self.templates)?;
        for text in own.chain(rendered) {
            let source = PathBuf::from(&text.name);
            let reserved = text.name.starts_with("hod/") || text.name.starts_with("docker/");
            if reserved {
                let destination = text.name;
                return Err(CarryError::Reserved {
                    path: source,
                    destination,
                }
                .into());
            }
            if !taken.insert(text.name.clone()) {
                let destination = text.name;
                return Err(CarryError::Twice {
                    path: source,
                    destination,
                }
                .into());
            }
            let path = text.name.parse().map_err(|error| CarryError::Path {
                path: source,
                source: error,
            })?;
            files.push(BundleFile {
                path,
                content: FileContent::Bytes(text.text.into_bytes()),
                executable: text.executable,
                is_everywhere: true,
            });
        }
        for found in self.found.values() {
            files.push(BundleFile {
                path: found.path.clone(),
                content: FileContent::Path {
                    path: found.source.clone(),
                    len: found.len,
                    digest: found.digest.clone(),
                },
                executable: found.executable,
                is_everywhere: false,
            });
        }
        Ok(files)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tool,
    File,
}

fn text_of<'p>(path: Option<&'p Path>, whole: &Path) -> Result<&'p str, CarryError> {
    path.and_then(Path::to_str).ok_or_else(|| CarryError::Name {
        path: whole.to_owned(),
    })
}

/// The length and digest of a file.
fn hash(path: &Path) -> Result<(u64, Digest), hod_fsx::Error> {
    let file = hod_fsx::open(path)?;
    let (digest, len) = hod_fsx::digest_of(&file, path, Algorithm::Sha256, &|_| ())?;
    Ok((len, digest))
}
