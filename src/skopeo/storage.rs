//! The storage of podman, buildah and CRI-O. Only its own tools write and read it: they have its
//! locks, and put layers together again from the files that it keeps of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hod_fsx::TempDir;
use hod_oci::{Digest, MANIFEST_LEN_MAX, Manifest, ManifestBody, Platform};
use hod_trust::PolicyScope;

use crate::archive;
use crate::failure::{Done, Failure};
use crate::name::{Named, StorageName, StoreSpec};
use crate::wording;

/// The tools, the preferred one first.
const PROGRAMS: [Program; 2] = [Program::Podman, Program::Buildah];
/// What the tools say of an image that they do not find.
const UNKNOWN: [&str; 2] = ["image not known", "no such image"];
/// A policy for the tools: trust was decided before they are called.
const POLICY: &str = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
/// The longest configuration of an image, in bytes.
const CONFIG_LEN_MAX: u64 = MANIFEST_LEN_MAX;

/// A tool for the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Podman,
    Buildah,
}

/// A storage.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    program: Program,
    spec: Option<StoreSpec>,
}

/// podman takes no longer path for its state (libpod's `checkRuntimeConfig`); buildah does.
const RUN_ROOT_LEN_MAX: usize = 50;

/// An image in the storage, whose layers have not been asked for.
#[derive(Debug)]
pub(crate) struct StoredImage {
    pub(crate) store: Store,
    pub(crate) id: String,
    /// The manifest of the image in the index that stands for it.
    pub(crate) child: Option<Digest>,
    pub(crate) tmpdir: Option<PathBuf>,
}

/// The manifest that an image was stored with, and its configuration.
#[derive(Debug)]
pub(crate) struct Original {
    /// The one that the name stands for; an index, if the image was chosen from it.
    pub(crate) top: Manifest,
    /// That of the image.
    pub(crate) manifest: Manifest,
    pub(crate) config_digest: Digest,
    pub(crate) config: Bytes,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Buildah => "buildah",
        }
    }

    /// Writes an image, its layers uncompressed.
    fn push(self) -> &'static [&'static str] {
        match self {
            Self::Podman => &["push", "-q"],
            Self::Buildah => &["push", "-q", "--disable-compression"],
        }
    }

    /// Prints the ID of an image.
    fn inspect(self) -> &'static [&'static str] {
        match self {
            Self::Podman => &["image", "inspect", "--format", "{{.Id}}"],
            Self::Buildah => &["inspect", "--type", "image", "--format", "{{.FromImageID}}"],
        }
    }
}

impl Store {
    /// Finds a tool for the storage that a name is of. Blocks, as all methods do.
    pub(crate) fn open(spec: Option<&StoreSpec>) -> Done<Self> {
        let is_here = |program: &Program| {
            let found = hod_program::run(program.name(), &["--version"], b"");
            !matches!(found, Err(hod_program::Error::Absent { .. }))
        };
        let run_root = spec.and_then(|spec| spec.run_root.as_ref());
        let is_long = run_root.is_some_and(|path| path.len() > RUN_ROOT_LEN_MAX);
        let takes_it = |program: &Program| !is_long || *program == Program::Buildah;
        let here: Vec<Program> = PROGRAMS.into_iter().filter(is_here).collect();
        let found = here.iter().find(|program| takes_it(program));
        let program = found.or(here.first()).ok_or_else(|| {
            Failure::new(
                "containers-storage: requires podman or buildah, and neither is on PATH; install \
                 one of them",
            )
        })?;
        Ok(Self {
            program: *program,
            spec: spec.cloned(),
        })
    }

    /// Finds the ID of an image.
    pub(crate) fn find(&self, name: &StorageName) -> Done<String> {
        let of_digits = |digits: &str| -> Done<Option<String>> {
            let found = self.lookup(digits)?;
            Ok(found.filter(|id| id.starts_with(digits)))
        };
        let mut found = None;
        if let Some(id) = name.id.as_deref().or(name.short_id.as_deref()) {
            found = of_digits(id)?;
        }
        if let (None, None, Some(named)) = (&found, &name.id, &name.named) {
            found = self.lookup(&named.to_string())?;
        }
        found.ok_or_else(|| {
            let full = hod_gotext::quote(self.full_name(name));
            Failure::not_found(format!("reference {full} does not resolve to an image ID"))
        })
    }

    /// The name with its storage, as containers shows it.
    fn full_name(&self, name: &StorageName) -> String {
        let mut text = match self.place() {
            Some((driver, root, run_root)) => {
                let options = self.spec.as_ref().map(|spec| spec.options.join(","));
                let options = options.filter(|options| !options.is_empty());
                let options = options.map(|options| format!(":{options}"));
                format!(
                    "[{driver}@{root}+{run_root}{}]",
                    options.unwrap_or_default()
                )
            }
            None => String::new(),
        };
        match (&name.named, &name.id, &name.short_id) {
            (Some(named), Some(id), _) => {
                let _ = write!(text, "{named}@{id}");
            }
            (Some(named), None, _) => text.push_str(&named.to_string()),
            (None, Some(id), _) | (None, None, Some(id)) => {
                let _ = write!(text, "@{id}");
            }
            (None, None, None) => {}
        }
        text
    }

    /// The driver, the root and the run root.
    fn place(&self) -> Option<(String, String, String)> {
        if let Some(StoreSpec {
            driver: Some(driver),
            root: Some(root),
            run_root: Some(run_root),
            ..
        }) = &self.spec
        {
            return Some((driver.clone(), root.clone(), run_root.clone()));
        }
        let format = match self.program {
            Program::Podman => {
                "{{.Store.GraphDriverName}}\n{{.Store.GraphRoot}}\n{{.Store.RunRoot}}"
            }
            Program::Buildah => {
                "{{.store.GraphDriverName}}\n{{.store.GraphRoot}}\n{{.store.RunRoot}}"
            }
        };
        let text = self.run(&["info", "--format", format]).ok()?;
        let mut lines = text.lines().map(str::to_owned);
        Some((lines.next()?, lines.next()?, lines.next()?))
    }

    fn lookup(&self, image: &str) -> Done<Option<String>> {
        let mut args = self.program.inspect().to_vec();
        args.push(image);
        match self.run(&args) {
            Ok(id) => Ok(Some(id.trim().to_owned()).filter(|id| !id.is_empty())),
            Err(error) if UNKNOWN.iter().any(|words| error.text.contains(words)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the manifest that the image was stored with, or the one with the digest of its name;
    /// none where the files of the storage cannot be read.
    pub(crate) fn original(&self, id: &str, digest: Option<&Digest>) -> Option<Original> {
        let (driver, root, _) = self.place()?;
        let dir = Path::new(&root).join(format!("{driver}-images")).join(id);
        let read = |name: &str| {
            let bytes = hod_fsx::read(&dir.join(name), MANIFEST_LEN_MAX).ok()?;
            Manifest::parse(bytes.into(), None).ok()
        };
        let keyed = |digest: &Digest| read(&file_of(&format!("manifest-{digest}")));
        let manifest = read("manifest")?;
        let ManifestBody::Image(image) = manifest.body() else {
            return None;
        };
        let config_digest = image.config.digest.clone();
        let name = file_of(config_digest.as_str());
        let config = hod_fsx::read(&dir.join(name), CONFIG_LEN_MAX).ok()?;
        config_digest.matches(&config).then(|| Original {
            top: digest.and_then(keyed).unwrap_or_else(|| manifest.clone()),
            config_digest: config_digest.clone(),
            config: config.into(),
            manifest: manifest.clone(),
        })
    }

    /// Writes an image as the layout `dir:` in a temporary directory, and returns both.
    pub(crate) fn push(&self, id: &str, tmpdir: Option<&Path>) -> Done<(TempDir, PathBuf)> {
        let (scratch, policy) = scratch(tmpdir)?;
        let layout = scratch.path().join("image");
        let to = format!("dir:{}", layout.display());
        let mut args = self.program.push().to_vec();
        args.extend(["--signature-policy", &policy, id, &to]);
        self.run(&args)?;
        Ok((scratch, layout))
    }

    /// Stores the image in the layout at `layout` under a name.
    pub(crate) fn pull(&self, layout: &Path, named: &Named, tmpdir: Option<&Path>) -> Done {
        let (scratch, policy) = scratch(tmpdir)?;
        let from = format!("dir:{}", layout.display());
        let stored = self.run(&["pull", "-q", "--signature-policy", &policy, &from]);
        drop(scratch);
        let id = stored?.lines().last().unwrap_or_default().trim().to_owned();
        if id.is_empty() {
            let name = self.program.name();
            return Err(Failure::new(format!("{name} pull: no ID was printed")));
        }
        self.run(&["tag", &id, &named.to_string()]).map(drop)
    }

    /// Stores the image in an archive under the name that the archive has for it; from an index,
    /// the one for a platform.
    pub(crate) fn pull_archive(
        &self,
        archive: &Path,
        platform: Option<&Platform>,
        tmpdir: Option<&Path>,
    ) -> Done {
        let (scratch, policy) = scratch(tmpdir)?;
        let from = format!("oci-archive:{}", archive.display());
        let mut args = vec!["pull", "-q", "--signature-policy", &policy];
        if let Some(platform) = platform {
            args.extend(["--os", &platform.os, "--arch", &platform.architecture]);
            if let Some(variant) = &platform.variant {
                args.extend(["--variant", variant]);
            }
        }
        args.push(&from);
        let stored = self.run(&args);
        drop(scratch);
        stored.map(drop)
    }

    /// Runs the tool; what it prints, or the last line that it complains with.
    fn run(&self, args: &[&str]) -> Done<String> {
        let globals = self.globals();
        let mut all: Vec<&str> = globals.iter().map(String::as_str).collect();
        all.extend(args);
        let name = self.program.name();
        let output = hod_program::run(name, &all, b"");
        let output = output.map_err(|error| Failure::new(hod_report::chain(&error)))?;
        if output.is_success {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.trim_end().lines().last().unwrap_or("it failed");
        let last = last.strip_prefix("Error: ").unwrap_or(last);
        Err(Failure::new(format!("{name} {}: {last}", args[0])))
    }

    /// The options that choose the storage.
    fn globals(&self) -> Vec<String> {
        let Some(spec) = &self.spec else {
            return Vec::new();
        };
        let flags = [
            ("--storage-driver", &spec.driver),
            ("--root", &spec.root),
            ("--runroot", &spec.run_root),
        ];
        let given = flags
            .into_iter()
            .filter_map(|(flag, value)| Some([flag.to_owned(), value.clone()?]))
            .flatten();
        let options = spec
            .options
            .iter()
            .flat_map(|option| ["--storage-opt".to_owned(), option.clone()]);
        given.chain(options).collect()
    }
}

/// The names by which a policy knows an image of the storage. Blocks.
///
/// Fails where the storage cannot be found, since a policy would then decide about something else.
pub(crate) fn policy_scope(name: &StorageName) -> Done<PolicyScope> {
    let store = Store::open(name.store.as_ref())?;
    let id = store.find(name)?;
    let (driver, root, _) = store.place().ok_or_else(|| {
        let name = store.program.name();
        Failure::new(format!("{name} info: it does not say where the storage is"))
    })?;
    let named = name.named.as_ref().map(Named::docker_name).transpose();
    let named = named.map_err(|error| Failure::new(error.to_string()))?;
    Ok(PolicyScope::containers_storage(&hod_trust::StoredImage {
        driver: &driver,
        root: &root,
        name: named.as_ref(),
        id: Some(&id),
    }))
}

/// The file of a thing that is stored with an image.
fn file_of(name: &str) -> String {
    format!("={}", STANDARD.encode(name))
}

/// Removes an image with all its names, unless a container uses it. Blocks.
pub(crate) fn delete(name: &StorageName) -> Done {
    let store = Store::open(name.store.as_ref())?;
    let id = store.find(name).map_err(Failure::plain)?;
    let removed = match store.program {
        Program::Podman => {
            let filter = format!("ancestor={id}");
            let users = store.run(&["ps", "-a", "--external", "-q", "--filter", &filter])?;
            if let Some(user) = users.lines().next() {
                return Err(Failure::new(format!(
                    "image used by {user}: image is in use by a container"
                )));
            }
            // Without it, an image with several names is not removed.
            store.run(&["rmi", "--force", &id])
        }
        Program::Buildah => store.run(&["rmi", &id]),
    };
    removed.map(drop)
}

/// A temporary directory with the policy of the tools.
fn scratch(tmpdir: Option<&Path>) -> Done<(TempDir, String)> {
    let scratch = archive::scratch(tmpdir)?;
    let policy = scratch.path().join("policy.json");
    hod_fsx::write_file(&policy, POLICY.as_bytes()).map_err(|error| wording::of_file(&error))?;
    let policy = policy.display().to_string();
    Ok((scratch, policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_a_store_are_those_of_the_tools() {
        let spec = StoreSpec {
            driver: Some("vfs".to_owned()),
            root: Some("/r".to_owned()),
            run_root: None,
            options: vec!["a=b".to_owned(), "c".to_owned()],
        };
        let store = Store {
            program: Program::Podman,
            spec: Some(spec),
        };
        assert_eq!(
            store.globals().join(" "),
            "--storage-driver vfs --root /r --storage-opt a=b --storage-opt c"
        );
    }
}
