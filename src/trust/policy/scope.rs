//! The names by which a policy knows an image.

use std::path::Path;

use hod_oci::Digest;

use crate::docker_name::DockerName;

/// A transport, and the scopes of it that an image is in, the most specific one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyScope {
    transport: &'static str,
    /// Empty for transports that do not tell images apart.
    identity: String,
    namespaces: Vec<String>,
}

/// An image in a local storage of containers.
#[derive(Debug, Clone, Copy)]
pub struct StoredImage<'a> {
    /// The driver of the storage, such as `overlay`.
    pub driver: &'a str,
    /// The root directory of the storage.
    pub root: &'a str,
    pub name: Option<&'a DockerName>,
    /// The ID of the image, in 64 hex digits.
    pub id: Option<&'a str>,
}

impl PolicyScope {
    /// An image in a registry.
    ///
    /// A name without tag and digest is what is copied without a tag; see [`DockerName::or_latest`].
    pub fn docker(name: &DockerName) -> Self {
        Self::of_names("docker", name)
    }

    /// An image of a transport whose images have Docker's names.
    pub fn of_names(transport: &'static str, name: &DockerName) -> Self {
        let mut namespaces = docker_namespaces(name);
        if name.is_name_only() {
            namespaces.remove(0);
        }
        Self {
            transport,
            identity: docker_identity(name),
            namespaces,
        }
    }

    /// An image of a daemon; one without a name is known by its ID only.
    pub fn docker_daemon(name: Option<&DockerName>) -> Self {
        Self {
            transport: "docker-daemon",
            identity: name.map(docker_identity).unwrap_or_default(),
            namespaces: name.map(docker_namespaces).unwrap_or_default(),
        }
    }

    /// A directory. The path must be absolute and without links: see [`hod_fsx::absolute`].
    pub fn dir(path: &Path) -> Self {
        let above = path.ancestors().skip(1);
        let above = above.filter(|path| path.parent().is_some());
        Self {
            transport: "dir",
            identity: path.display().to_string(),
            namespaces: above.map(|path| path.display().to_string()).collect(),
        }
    }

    /// An OCI layout, with such a path.
    pub fn oci(path: &Path) -> Self {
        Self::oci_path("oci", path)
    }

    /// An archive of an OCI layout, with such a path.
    pub fn oci_archive(path: &Path) -> Self {
        Self::oci_path("oci-archive", path)
    }

    fn oci_path(transport: &'static str, path: &Path) -> Self {
        let paths = path.ancestors().filter(|path| path.parent().is_some());
        Self {
            transport,
            identity: path.display().to_string(),
            namespaces: paths.map(|path| path.display().to_string()).collect(),
        }
    }

    /// An image in a local storage of containers.
    pub fn containers_storage(image: &StoredImage<'_>) -> Self {
        let storage = format!("[{}@{}]", image.driver, image.root);
        let mut identity = storage.clone();
        let mut namespaces = Vec::new();
        if let Some(name) = image.name {
            identity.push_str(&name.to_string());
            if image.id.is_some() {
                namespaces.push(identity.clone());
            }
            if let (Some(tag), Some(_)) = (name.tag(), name.digest()) {
                namespaces.push(format!("{storage}{}:{tag}", name.name()));
            }
            let parents = parents(name.name());
            namespaces.extend(parents.map(|parent| format!("{storage}{parent}")));
        }
        if let Some(id) = image.id {
            identity.push('@');
            identity.push_str(id);
        }
        namespaces.extend([storage, format!("[{}]", image.root)]);
        Self {
            transport: "containers-storage",
            identity,
            namespaces,
        }
    }

    /// An image of a transport that does not tell images apart, such as `docker-archive`.
    pub fn whole(transport: &'static str) -> Self {
        Self {
            transport,
            identity: String::new(),
            namespaces: Vec::new(),
        }
    }

    /// Returns the transport.
    pub fn transport(&self) -> &'static str {
        self.transport
    }

    /// Returns the transport and the identity, as messages name an image.
    pub fn log_name(&self) -> String {
        format!("{}:{}", self.transport, self.identity)
    }

    /// Returns the scopes in the order in which they are looked up; the last one is that of the
    /// whole transport.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let all = [&self.identity].into_iter().chain(&self.namespaces);
        all.map(String::as_str).chain([""])
    }
}

/// Returns the name in its full form with a tag or else a digest.
pub(crate) fn docker_identity(name: &DockerName) -> String {
    match (name.tag(), name.digest()) {
        (Some(tag), _) => format!("{}:{tag}", name.name()),
        (None, Some(digest)) => format!("{}@{digest}", name.name()),
        (None, None) => name.name().to_owned(),
    }
}

/// Returns the name, its parents up to the host, and wildcards of the host's domains.
pub(crate) fn docker_namespaces(name: &DockerName) -> Vec<String> {
    let mut namespaces: Vec<String> = parents(name.name()).map(str::to_owned).collect();
    let host = namespaces.last().map(String::as_str).unwrap_or_default();
    let mut host = host.split(':').next().unwrap_or_default().to_owned();
    while let Some((_, domain)) = host.split_once('.') {
        namespaces.push(format!("*.{domain}"));
        host = domain.to_owned();
    }
    namespaces
}

fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| Some(name.rsplit_once('/')?.0))
}

/// Whether a policy may name this scope of a transport; others would never be looked up.
pub(super) fn is_valid(transport: &str, scope: &str) -> bool {
    if scope.is_empty() {
        return true;
    }
    match transport {
        "dir" | "oci" | "oci-archive" | "sif" => is_clean_path(scope),
        "docker-archive" | "tarball" => false,
        "docker-daemon" => scope.parse::<Digest>().is_err(),
        "containers-storage" => is_storage(scope),
        "atomic" => is_openshift(scope),
        _ => true,
    }
}

/// Whether a path is absolute, not the root, and has no superfluous parts.
fn is_clean_path(path: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    path.strip_prefix('/')
        .is_some_and(|path| path.split('/').all(is_name))
}

fn is_storage(scope: &str) -> bool {
    let Some((storage, image)) = scope
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    else {
        return false;
    };
    let root = match storage.split_once('@') {
        Some(("", _)) => return false,
        Some((_, root)) => root,
        None => storage,
    };
    let is_digest = |text: &str| text.parse::<Digest>().is_ok();
    let is_id = |text: &str| is_digest(&format!("sha256:{text}"));
    let is_image = match &image.splitn(3, '@').collect::<Vec<_>>()[..] {
        [_, id] => is_id(id) || is_digest(id),
        [_, digest, id] => is_digest(digest) && is_id(id),
        _ => true,
    };
    root.starts_with('/') && is_image
}

/// `[^/]*(/[^:/]*(/[^:/]*(:[^:/]*)?)?)?`
fn is_openshift(scope: &str) -> bool {
    let parts: Vec<&str> = scope.split('/').collect();
    match &parts[..] {
        [_] => true,
        [_, namespace] => !namespace.contains(':'),
        [_, namespace, stream] => !namespace.contains(':') && stream.matches(':').count() <= 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_in_storage_have_their_scopes() {
        #[track_caller]
        fn check(name: Option<&str>, id: Option<&str>, expect: &[&str]) {
            let name = name.map(|name| name.parse().unwrap());
            let scope = PolicyScope::containers_storage(&StoredImage {
                driver: "overlay",
                root: "/var/lib",
                name: name.as_ref(),
                id,
            });
            let names: Vec<&str> = scope.names().collect();
            assert_eq!(names, expect);
        }
        let (digest, id) = (format!("sha256:{}", "ab".repeat(32)), "cd".repeat(32));
        check(
            Some("x.y/a/b:1"),
            None,
            &[
                "[overlay@/var/lib]x.y/a/b:1",
                "[overlay@/var/lib]x.y/a/b",
                "[overlay@/var/lib]x.y/a",
                "[overlay@/var/lib]x.y",
                "[overlay@/var/lib]",
                "[/var/lib]",
                "",
            ],
        );
        check(
            Some(&format!("x.y/a:1@{digest}")),
            Some(&id),
            &[
                &format!("[overlay@/var/lib]x.y/a:1@{digest}@{id}"),
                &format!("[overlay@/var/lib]x.y/a:1@{digest}"),
                "[overlay@/var/lib]x.y/a:1",
                "[overlay@/var/lib]x.y/a",
                "[overlay@/var/lib]x.y",
                "[overlay@/var/lib]",
                "[/var/lib]",
                "",
            ],
        );
        check(
            None,
            Some(&id),
            &[
                &format!("[overlay@/var/lib]@{id}"),
                "[overlay@/var/lib]",
                "[/var/lib]",
                "",
            ],
        );
    }
}
