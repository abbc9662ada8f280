//! Trusted certificates, proxies and mirrors, from flags, the environment and files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::args::RegistryArgs;
use super::super::error::CommandError;
use super::environment::{config_home, environment};
use super::given::{read_given, text};
use super::path::path;
use hod_registry::{
    Aliases, CaFile, CertificatesError, ConfFile, ProxyOptions, ProxyVariable, RegistriesConf,
    TrustOptions,
};

/// The longest `registries.conf` that is read, in bytes.
const CONF_LEN_MAX: u64 = 4 * 1024 * 1024;
/// The variable that names a `registries.conf`.
const REGISTRIES_CONF: &str = "CONTAINERS_REGISTRIES_CONF";
const SYSTEM_CONTAINERS: &str = "/etc/containers";

pub(super) fn trust(args: &RegistryArgs) -> Result<TrustOptions, CommandError> {
    let mut ca_files = Vec::new();
    for given in &args.ca {
        let path = path("--ca", given.as_os_str())?;
        ca_files.push(CaFile::load(&path).map_err(|error| ca_error(&path, error))?);
    }
    Ok(TrustOptions {
        ca_files,
        insecure: args.insecure.clone(),
        ..system_trust()?
    })
}

/// The certificates and proxies of the system, without any flags.
pub(crate) fn system_trust() -> Result<TrustOptions, CommandError> {
    Ok(TrustOptions {
        certs_d: certs_d(),
        proxies: proxies()?,
        ..TrustOptions::default()
    })
}

fn ca_error(path: &Path, error: CertificatesError) -> CommandError {
    let path = path.to_owned();
    match error {
        CertificatesError::File(source) => CommandError::Given {
            by: "--ca",
            path,
            source,
        },
        source => CommandError::Ca { path, source },
    }
}

/// For each host the directory with its certificates: the first that has it, and the others not.
/// A `certs.d` that may not be read has nothing, as with containers.
fn certs_d() -> BTreeMap<String, PathBuf> {
    let home = environment("HOME").map(|home| Path::new(&home).join(".config/containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    let mut found = BTreeMap::new();
    for dir in home.into_iter().chain(system) {
        for name in hod_fsx::try_read_dir_names(&dir)
            .ok()
            .flatten()
            .unwrap_or_default()
        {
            let path = dir.join(&name);
            let is_dir = hod_fsx::try_stat(&path)
                .ok()
                .flatten()
                .is_some_and(|stat| stat.is_dir);
            if let (true, Some(name)) = (is_dir, name.to_str()) {
                found.entry(name.to_owned()).or_insert(path);
            }
        }
    }
    found
}

fn proxies() -> Result<ProxyOptions, CommandError> {
    let proxy = |names: [&'static str; 2]| {
        let found = names
            .into_iter()
            .find_map(|name| Some((name, environment(name)?)));
        match found {
            None => Ok(None),
            Some((name, value)) => match value.into_string() {
                Ok(url) if ProxyOptions::is_proxy(&url) => Ok(Some(ProxyVariable { name, url })),
                // Not shown: it may be a secret that was put in the wrong place.
                _ => Err(CommandError::Proxy { variable: name }),
            },
        }
    };
    let no = ["NO_PROXY", "no_proxy"].into_iter().find_map(environment);
    Ok(ProxyOptions {
        http: proxy(["HTTP_PROXY", "http_proxy"])?,
        https: proxy(["HTTPS_PROXY", "https_proxy"])?,
        all: proxy(["ALL_PROXY", "all_proxy"])?,
        no: no.unwrap_or_default().to_string_lossy().into_owned(),
    })
}

/// Reads `registries.conf` and its drop-ins, as containers does: the user's own file replaces the
/// system's.
///
/// Short names are used only from the user's own files: with those of the distribution, a list
/// would mean different images on different machines.
pub(super) fn registries_conf() -> Result<RegistriesConf, CommandError> {
    registries_conf_of(None)
}

/// The same, or the file at `path` alone in place of all others.
pub(crate) fn registries_conf_of(
    path_given: Option<&Path>,
) -> Result<RegistriesConf, CommandError> {
    let user = config_home().map(|dir| dir.join("containers"));
    let system = Path::new(SYSTEM_CONTAINERS);
    let own = user.as_ref().map(|dir| dir.join("registries.conf"));
    let own = match own {
        Some(path) if hod_fsx::try_stat(&path)?.is_some() => Some(path),
        _ => None,
    };
    let mut files: Vec<(PathBuf, Aliases)> = Vec::new();
    let given = path_given.map(|path| path.as_os_str().to_owned());
    let named = given.or_else(|| environment(REGISTRIES_CONF));
    let has_named = named.is_some();
    if let Some(named) = named {
        files.push((path(REGISTRIES_CONF, &named)?, Aliases::Heed));
    } else if let Some(path) = &own {
        files.push((path.clone(), Aliases::Heed));
    } else {
        files.push((system.join("registries.conf"), Aliases::Ignore));
    }
    if own.is_none() || has_named {
        files.extend(drop_ins(
            &system.join("registries.conf.d"),
            Aliases::Ignore,
        )?);
    }
    if let Some(dir) = &user {
        files.extend(drop_ins(&dir.join("registries.conf.d"), Aliases::Heed)?);
    }
    let mut texts = Vec::new();
    for (n, (path, aliases)) in files.into_iter().enumerate() {
        // A file named by the user must exist.
        let bytes = if n == 0 && has_named {
            Some(read_given(REGISTRIES_CONF, &path, CONF_LEN_MAX)?)
        } else {
            hod_fsx::try_read(&path, CONF_LEN_MAX)?
        };
        if let Some(bytes) = bytes {
            texts.push((path.display().to_string(), text(&path, bytes)?, aliases));
        }
    }
    let files: Vec<ConfFile<'_>> = texts
        .iter()
        .map(|(name, text, aliases)| ConfFile {
            name,
            text,
            aliases: *aliases,
        })
        .collect();
    Ok(RegistriesConf::parse(&files)?)
}

fn drop_ins(dir: &Path, aliases: Aliases) -> Result<Vec<(PathBuf, Aliases)>, CommandError> {
    let names = hod_fsx::try_read_dir_names(dir)?.unwrap_or_default();
    let paths = names.into_iter().map(|name| dir.join(name));
    let paths = paths.filter(|path| path.extension().is_some_and(|e| e == "conf"));
    Ok(paths.map(|path| (path, aliases)).collect())
}
