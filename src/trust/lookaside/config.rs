//! The files in `registries.d`, merged.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::error::LookasideError;
use super::storage::Lookaside;
use super::yaml::{self, Pair, Value, YamlError};
use crate::docker_name::DockerName;
use crate::policy::PolicyScope;

const SYSTEM: &str = "/etc/containers/registries.d";

/// Where to look for the files and for signatures. Nothing of the environment is read here.
#[derive(Debug, Clone, Default)]
pub struct RegistriesDPaths {
    /// The directory that the user named.
    pub explicit: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
}

/// What the files say, for each namespace.
#[derive(Debug, Clone, Default)]
pub struct RegistriesD {
    default: Option<Namespace>,
    docker: HashMap<String, Namespace>,
    /// Where signatures are if no file says so.
    storage: String,
}

#[derive(Debug, Clone, Default)]
struct Namespace {
    lookaside: String,
    lookaside_staging: String,
    sigstore: String,
    sigstore_staging: String,
    use_sigstore_attachments: Option<bool>,
}

/// Where the signatures of a repository are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureSettings {
    pub read: Lookaside,
    pub write: Lookaside,
    /// Whether signatures of sigstore are read from and written to the registry.
    pub use_sigstore_attachments: bool,
}

impl RegistriesDPaths {
    /// Reads all files. Blocks. No directory is as good as an empty one.
    pub fn read(&self) -> Result<RegistriesD, LookasideError> {
        let own = self.home.as_deref();
        let own = own.map(|home| home.join(".config/containers/registries.d"));
        let dir = match (&self.explicit, own) {
            (Some(dir), _) => dir.clone(),
            (None, Some(own))
                if hod_fsx::try_stat(&own)
                    .map_err(LookasideError::File)?
                    .is_some() =>
            {
                own
            }
            _ => PathBuf::from(SYSTEM),
        };
        let mut merged = RegistriesD {
            storage: self.default_storage(),
            ..RegistriesD::default()
        };
        let names = hod_fsx::try_read_dir_names(&dir).map_err(LookasideError::File)?;
        let mut origins = Origins::default();
        for name in names.unwrap_or_default() {
            let path = dir.join(name);
            if path.to_string_lossy().ends_with(".yaml") {
                merged.merge_file(&path, &mut origins)?;
            }
        }
        Ok(merged)
    }

    fn default_storage(&self) -> String {
        match &self.home {
            Some(home) if hod_fsx::user_id() != 0 => {
                let home = home.display().to_string().replace('%', "%25");
                let home = home.replace('?', "%3f").replace('#', "%23");
                format!("file://{home}/.local/share/containers/sigstore")
            }
            _ => "file:///var/lib/containers/sigstore".to_owned(),
        }
    }
}

/// The files that settings are from.
#[derive(Default)]
struct Origins {
    default: Option<PathBuf>,
    docker: HashMap<String, PathBuf>,
}

impl RegistriesD {
    fn merge_file(&mut self, path: &Path, origins: &mut Origins) -> Result<(), LookasideError> {
        let content = hod_fsx::try_read(path, yaml::LEN_MAX).map_err(LookasideError::File)?;
        // Removed since the directory was read.
        let Some(content) = content else {
            return Ok(());
        };
        let wrong = |error: YamlError| LookasideError::Yaml {
            path: path.to_owned(),
            line: error.line,
            problem: error.problem,
        };
        let not_text = || wrong(YamlError::new(1, "it is not text in UTF-8"));
        let text = str::from_utf8(&content).map_err(|_| not_text())?;
        let pairs = match yaml::parse(text).map_err(wrong)? {
            Value::Null => Vec::new(),
            Value::Mapping(pairs) => pairs,
            Value::Text { .. } | Value::Sequence => {
                return Err(wrong(YamlError::new(1, "it is not a mapping")));
            }
        };
        for pair in pairs {
            match pair.key.as_str() {
                "default-docker" => {
                    let Some(pairs) = pair.mapping().map_err(wrong)? else {
                        continue;
                    };
                    if let Some(first) = origins.default.replace(path.to_owned()) {
                        let second = path.to_owned();
                        return Err(LookasideError::TwoDefaults { first, second });
                    }
                    self.default = Some(Namespace::of(pairs).map_err(wrong)?);
                }
                "docker" => {
                    for pair in pair.mapping().map_err(wrong)?.unwrap_or_default() {
                        let name = pair.key.clone();
                        let pairs = pair.mapping().map_err(wrong)?.unwrap_or_default();
                        let namespace = Namespace::of(pairs).map_err(wrong)?;
                        self.add(name, namespace, path, origins)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        name: String,
        namespace: Namespace,
        path: &Path,
        origins: &mut Origins,
    ) -> Result<(), LookasideError> {
        if let Some(first) = origins.docker.insert(name.clone(), path.to_owned()) {
            let second = path.to_owned();
            return Err(LookasideError::TwoNamespaces {
                name,
                first,
                second,
            });
        }
        self.docker.insert(name, namespace);
        Ok(())
    }

    /// Returns where the signatures of an image are. Each setting is that of the most specific
    /// namespace that has it.
    pub fn settings(&self, image: &DockerName) -> Result<SignatureSettings, LookasideError> {
        let scope = PolicyScope::docker(image);
        let names = scope.names().filter(|name| !name.is_empty());
        let namespaces = names.filter_map(|name| self.docker.get(name));
        let namespaces: Vec<&Namespace> = namespaces.chain(&self.default).collect();
        let storage = |url: fn(&Namespace) -> &str| {
            let mut urls = namespaces.iter().map(|namespace| url(namespace));
            let url = urls.find(|url| !url.is_empty()).unwrap_or(&self.storage);
            Lookaside::new(url, image.path())
        };
        let mut attachments = namespaces.iter();
        let attachments = attachments.find_map(|namespace| namespace.use_sigstore_attachments);
        Ok(SignatureSettings {
            read: storage(Namespace::read)?,
            write: storage(Namespace::write)?,
            use_sigstore_attachments: attachments.unwrap_or(false),
        })
    }
}

impl Namespace {
    fn of(pairs: Vec<Pair>) -> Result<Self, YamlError> {
        let mut namespace = Self::default();
        for pair in pairs {
            match pair.key.as_str() {
                "lookaside" => namespace.lookaside = pair.text()?,
                "lookaside-staging" => namespace.lookaside_staging = pair.text()?,
                "sigstore" => namespace.sigstore = pair.text()?,
                "sigstore-staging" => namespace.sigstore_staging = pair.text()?,
                "use-sigstore-attachments" => {
                    namespace.use_sigstore_attachments = pair.truth()?;
                }
                _ => {}
            }
        }
        Ok(namespace)
    }

    fn read(&self) -> &str {
        first([&self.lookaside, &self.sigstore])
    }

    fn write(&self) -> &str {
        let staging = first([&self.lookaside_staging, &self.sigstore_staging]);
        first([staging, self.read()])
    }
}

fn first<const N: usize>(texts: [&str; N]) -> &str {
    let mut texts = texts.into_iter();
    texts.find(|text| !text.is_empty()).unwrap_or_default()
}
