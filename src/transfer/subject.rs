//! The names by which a policy knows an image of a source, and where its signatures are.
//!
//! Registries, `dir:`, `oci:` and archives have the names of containers/image. Stores and bundles,
//! which it does not know, are transports of their own, `store` and `bundle`: their images have the
//! names under which they were pulled, by digest, since nothing but a signature vouches for a name
//! there.

use std::path::{Path, PathBuf};

use super::{
    Locate, Location, Resolved, SignatureError, SignedImage, Source, SourceKind, Transport,
    layout_signatures,
};
use hod_layout::CollectionKind;
use hod_oci::{Digest, RepositoryName};
use hod_registry::{Client, ManifestRef, Repo};
use hod_trust::{DockerName, PolicyScope, RegistriesD, Signature};

/// What images are read from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    pub source: &'a dyn Source,
    pub kind: SourceKind,
    /// Of a local source.
    pub path: &'a Path,
}

/// An image of which a policy decides.
#[derive(Debug)]
pub struct Subject<'a> {
    pub scope: PolicyScope,
    /// As messages have it.
    pub name: String,
    pub docker_reference: Option<DockerName>,
    source: &'a dyn Source,
    image: &'a Resolved,
    signed: Signed,
}

/// Where an image has signatures.
#[derive(Debug)]
enum Signed {
    /// Those of its repository.
    Repository(Repo),
    /// In the files of a layout.
    Layout(PathBuf),
    /// Nowhere.
    No,
}

impl<'a> Subject<'a> {
    /// The subject that a resolved image is.
    pub fn of(origin: Origin<'a>, image: &'a Resolved) -> Result<Self, SignatureError> {
        let Origin { source, kind, path } = origin;
        let wanted = &image.wanted;
        if let (Locate::Remote { at, .. }, Location::Repo(repo)) = (&wanted.locate, &image.location)
        {
            let name = match at {
                ManifestRef::Tag(tag) => format!("{repo}:{tag}"),
                ManifestRef::Digest(digest) => format!("{repo}@{digest}"),
            };
            let docker = parse(&name)?;
            return Ok(Self {
                scope: PolicyScope::docker(&docker),
                name: format!("docker://{docker}"),
                docker_reference: Some(docker),
                source,
                image,
                signed: Signed::Repository(repo.clone()),
            });
        }
        let transport = kind.transport().map_or("", Transport::word);
        let real = hod_fsx::absolute(path);
        let (scope, signed) = match kind {
            SourceKind::Layouts => {
                let path = source.layout_path(&image.location).unwrap_or(real);
                let path = hod_fsx::absolute(&path);
                (PolicyScope::dir(&path), Signed::Layout(path))
            }
            SourceKind::Collection(CollectionKind::OciLayout) => {
                (PolicyScope::oci(&real), Signed::No)
            }
            SourceKind::Collection(CollectionKind::OciArchive) => {
                (PolicyScope::oci_archive(&real), Signed::No)
            }
            SourceKind::Collection(CollectionKind::DockerArchive) => {
                (PolicyScope::whole(transport), Signed::No)
            }
            SourceKind::Store
            | SourceKind::Bundle
            | SourceKind::CompressedBundle
            | SourceKind::PipedBundle
            | SourceKind::Collection(CollectionKind::TreeArchive) => {
                return Self::stored(source, image, transport);
            }
            // Their images are at registries.
            SourceKind::Registry | SourceKind::Image | SourceKind::List => {
                (PolicyScope::whole("docker"), Signed::No)
            }
        };
        Ok(Self {
            scope,
            name: format!("{transport}:{}", shown(path, &wanted.name)),
            docker_reference: None,
            source,
            image,
            signed,
        })
    }

    /// An image of a store or a bundle.
    fn stored(
        source: &'a dyn Source,
        image: &'a Resolved,
        transport: &'static str,
    ) -> Result<Self, SignatureError> {
        let top = image.original.as_ref().unwrap_or(image.top().digest());
        let repository = source.repository_of(&image.wanted.locate);
        let repository = repository.unwrap_or(image.wanted.destination.repository.clone());
        let docker = parse(&format!("{}@{top}", with_port(&repository)))?;
        let host = docker
            .name()
            .strip_suffix(docker.path())
            .unwrap_or_default();
        let registry = host.trim_end_matches('/').parse();
        let name = docker.path().parse();
        let signed = match (registry, name) {
            (Ok(registry), Ok(name)) => Signed::Repository(Repo { registry, name }),
            _ => Signed::No,
        };
        Ok(Self {
            scope: PolicyScope::of_names(transport, &docker),
            name: format!("{transport}:{docker}"),
            docker_reference: Some(docker),
            source,
            image,
            signed,
        })
    }

    /// Reads the signatures of one of its manifests; those on web servers with `web`.
    pub async fn signatures(
        &self,
        manifest: &Digest,
        registries_d: &RegistriesD,
        web: &Client,
    ) -> Result<Vec<Signature>, SignatureError> {
        let image = self.image;
        match (&self.signed, &self.docker_reference) {
            (Signed::Repository(repo), Some(docker)) => {
                let repository = self.source.repository_of(&image.wanted.locate);
                let signed = SignedImage {
                    source: self.source,
                    location: &image.location,
                    repository: repository.as_ref().unwrap_or(&repo.name),
                    repo,
                    settings: &registries_d.settings(docker)?,
                    web,
                };
                signed.signatures(manifest).await
            }
            (Signed::Layout(path), _) => {
                let top = image.original.as_ref().unwrap_or(image.top().digest());
                layout_signatures(path, manifest, manifest == top).await
            }
            (Signed::Repository(_) | Signed::No, _) => Ok(Vec::new()),
        }
    }
}

fn parse(name: &str) -> Result<DockerName, SignatureError> {
    name.parse().map_err(|source| SignatureError::Name {
        name: name.to_owned(),
        source,
    })
}

/// The name of a repository of a store with the registry as it is written: `host_5000` is `host:5000`.
fn with_port(repository: &RepositoryName) -> String {
    let text = repository.as_str();
    let host = repository.without_host().and_then(|rest| {
        let host = text.strip_suffix(rest.as_str())?.trim_end_matches('/');
        let (name, port) = host.rsplit_once('_')?;
        Some(format!("{name}:{port}/{rest}"))
    });
    host.unwrap_or_else(|| text.to_owned())
}

/// The path and the image in it.
fn shown(path: &Path, image: &str) -> String {
    format!("{}:{image}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_stores_have_their_registries() {
        for (stored, expect) in [
            ("library/nginx", "library/nginx"),
            ("quay.io/coreos/etcd", "quay.io/coreos/etcd"),
            ("127.0.0.1_5000/a/b", "127.0.0.1:5000/a/b"),
            ("harbor_8443/a", "harbor:8443/a"),
            ("my_app/web", "my_app/web"),
        ] {
            assert_eq!(with_port(&stored.parse().unwrap()), expect);
        }
    }
}
