//! Names of images as skopeo has them: `transport:reference` (containers-transports(5)).

mod named;
mod path;
mod storage;

use std::fmt;
use std::path::PathBuf;

use hod_gotext::quote;
use hod_oci::Digest;

pub(crate) use named::{Named, NamedError};
pub(crate) use path::{PathError, explicit};
pub(crate) use storage::{StorageName, StorageNameError, StoreSpec};

/// What `docker:` references end with that are pushed by their digest alone.
const UNKNOWN_DIGEST: &str = "@@unknown-digest@@";

/// The layer of `tarball:` that is read from stdin.
pub(crate) const STDIN: &str = "-";

/// The transports that skopeo knows, sorted as its help lists them.
pub(crate) const TRANSPORTS: [&str; 9] = [
    "containers-storage",
    "dir",
    "docker",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
    "sif",
    "tarball",
];

/// An image, or the place for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageName {
    /// `docker://NAME[:TAG|@DIGEST]`
    Docker {
        named: Named,
        /// Written with a suffix that means: push it without a tag.
        is_digest_unknown: bool,
    },
    /// `dir:PATH`
    Dir { path: PathBuf, explicit: PathBuf },
    /// `oci:PATH[:REF]`
    Oci {
        path: PathBuf,
        explicit: PathBuf,
        image: OciChoice,
    },
    /// `oci-archive:FILE[:REF]`
    OciArchive {
        path: PathBuf,
        explicit: PathBuf,
        image: Option<String>,
    },
    /// `docker-archive:FILE[:NAME[:TAG]|:@INDEX]`
    DockerArchive { path: PathBuf, image: ArchiveChoice },
    /// `docker-daemon:NAME:TAG`, `docker-daemon:sha256:ID`
    DockerDaemon(DaemonImage),
    /// `containers-storage:[STORE]NAME[:TAG][@DIGEST][@ID]`
    ContainersStorage(StorageName),
    /// `tarball:LAYER[:…]`, where `-` is stdin.
    Tarball(Vec<String>),
}

/// An image of an OCI layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OciChoice {
    /// The only one; to write, one without a name.
    Only,
    /// By the annotation `org.opencontainers.image.ref.name`.
    Named(String),
    /// By its position, to read.
    At(usize),
}

/// An image of a `docker save` archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArchiveChoice {
    /// The only one; to write, one without a name.
    Only,
    Named(Named),
    /// By its position, to read.
    At(usize),
}

/// An image of a Docker engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DaemonImage {
    /// By the digest of its config, to read.
    Id(Digest),
    Named(Named),
}

/// Why a text is not the name of an image, in skopeo's words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NameError {
    #[error("Invalid image name {}, expected colon-separated transport:reference", quote(.0))]
    NoTransport(String),
    #[error("Invalid image name {}, unknown transport {}", quote(.name), quote(.transport))]
    UnknownTransport { name: String, transport: String },
    #[error("The transport {} is not supported in this build", quote(.0))]
    Unsupported(String),
    #[error("docker: image reference {0} does not start with //")]
    NoSlashes(String),
    #[error(transparent)]
    Named(#[from] NamedError),
    #[error("Docker references with both a tag and digest are currently not supported")]
    TagAndDigest,
    #[error(
        "docker: image reference {} has unknown digest set but it contains either a tag or digest", quote(.0)
    )]
    UnknownDigest(String),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("Invalid image {0}")]
    OciImage(String),
    #[error(
        "Invalid source index @{0}: not an integer: strconv.Atoi: parsing {quoted}: invalid syntax",
        quoted = quote(.0)
    )]
    IndexNumber(String),
    #[error("Invalid source index @{0}: must not be negative")]
    NegativeIndex(i64),
    #[error("docker-archive reference {0} isn't of the form <path>[:<reference>]")]
    ArchiveForm(String),
    #[error("docker-archive parsing reference: {0}")]
    ArchiveReference(NamedError),
    #[error("reference does not include a tag: {0}")]
    ArchiveDigest(Named),
    #[error(
        "Invalid docker-daemon: reference {0}: The sha256 repository name is reserved for (non-shortened) digest references"
    )]
    ReservedName(String),
    #[error("docker-daemon: reference {0} has neither a tag nor a digest")]
    DaemonNameOnly(String),
    #[error("docker-daemon: references with both a tag and digest are currently not supported")]
    DaemonTagAndDigest,
    #[error(transparent)]
    Storage(#[from] StorageNameError),
    #[error("error opening {}: open {path}: {problem}", quote(.path))]
    Tarball { path: String, problem: String },
}

impl ImageName {
    /// Parses a name. Blocks: paths are resolved.
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        let Some((transport, rest)) = text.split_once(':') else {
            return Err(NameError::NoTransport(text.to_owned()));
        };
        match transport {
            "docker" => docker(rest),
            "dir" => {
                let path = PathBuf::from(rest);
                let explicit = explicit(&path)?;
                Ok(Self::Dir { path, explicit })
            }
            "oci" => oci(rest),
            "oci-archive" => {
                let (path, image) = rest.split_once(':').unwrap_or((rest, ""));
                let path = PathBuf::from(path);
                let explicit = explicit(&path)?;
                let image = oci_image(image)?;
                Ok(Self::OciArchive {
                    path,
                    explicit,
                    image,
                })
            }
            "docker-archive" => docker_archive(rest),
            "docker-daemon" => daemon(rest).map(Self::DockerDaemon),
            "containers-storage" => Ok(Self::ContainersStorage(StorageName::parse(rest)?)),
            "tarball" => tarball(rest),
            "ostree" | "sif" => Err(NameError::Unsupported(format!("{transport}:"))),
            _ => Err(NameError::UnknownTransport {
                name: text.to_owned(),
                transport: transport.to_owned(),
            }),
        }
    }

    /// The transport's word.
    pub(crate) fn transport(&self) -> &'static str {
        match self {
            Self::Docker { .. } => "docker",
            Self::Dir { .. } => "dir",
            Self::Oci { .. } => "oci",
            Self::OciArchive { .. } => "oci-archive",
            Self::DockerArchive { .. } => "docker-archive",
            Self::DockerDaemon(_) => "docker-daemon",
            Self::ContainersStorage(_) => "containers-storage",
            Self::Tarball(_) => "tarball",
        }
    }

    /// The name of the repository that the user means, if the transport has such names.
    pub(crate) fn docker_reference(&self) -> Option<&Named> {
        match self {
            Self::Docker { named, .. }
            | Self::DockerArchive {
                image: ArchiveChoice::Named(named),
                ..
            }
            | Self::DockerDaemon(DaemonImage::Named(named)) => Some(named),
            Self::ContainersStorage(name) => name.named.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for ImageName {
    /// As logs have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.transport())?;
        match self {
            Self::Docker {
                named,
                is_digest_unknown,
            } => {
                let suffix = if *is_digest_unknown {
                    UNKNOWN_DIGEST
                } else {
                    ""
                };
                write!(f, "//{}{suffix}", named.familiar())
            }
            Self::Dir { path, .. } => path.display().fmt(f),
            Self::Oci { path, image, .. } => match image {
                OciChoice::Only => write!(f, "{}:", path.display()),
                OciChoice::Named(image) => write!(f, "{}:{image}", path.display()),
                OciChoice::At(at) => write!(f, "{}:@{at}", path.display()),
            },
            Self::OciArchive { path, image, .. } => {
                let image = image.as_deref().unwrap_or_default();
                write!(f, "{}:{image}", path.display())
            }
            Self::DockerArchive { path, image } => match image {
                ArchiveChoice::Only => path.display().fmt(f),
                ArchiveChoice::Named(named) => write!(f, "{}:{named}", path.display()),
                ArchiveChoice::At(at) => write!(f, "{}:@{at}", path.display()),
            },
            Self::DockerDaemon(DaemonImage::Id(id)) => id.fmt(f),
            Self::DockerDaemon(DaemonImage::Named(named)) => f.write_str(&named.familiar()),
            Self::ContainersStorage(name) => f.write_str(&name.text),
            Self::Tarball(layers) => f.write_str(&layers.join(":")),
        }
    }
}

fn docker(rest: &str) -> Result<ImageName, NameError> {
    let Some(text) = rest.strip_prefix("//") else {
        return Err(NameError::NoSlashes(rest.to_owned()));
    };
    let bare = text.strip_suffix(UNKNOWN_DIGEST);
    let named = Named::parse(bare.unwrap_or(text))?;
    if bare.is_some() {
        if !named.is_name_only() {
            return Err(NameError::UnknownDigest(format!("{named}{UNKNOWN_DIGEST}")));
        }
        return Ok(ImageName::Docker {
            named,
            is_digest_unknown: true,
        });
    }
    if named.tag.is_some() && named.digest.is_some() {
        return Err(NameError::TagAndDigest);
    }
    Ok(ImageName::Docker {
        named: named.with_default_tag(),
        is_digest_unknown: false,
    })
}

fn oci(rest: &str) -> Result<ImageName, NameError> {
    let (dir, image) = rest.split_once(':').unwrap_or((rest, ""));
    let chosen = match image.strip_prefix('@') {
        Some(number) => OciChoice::At(position(number)?),
        None => OciChoice::Only,
    };
    let path = PathBuf::from(dir);
    let explicit = explicit(&path)?;
    let image = match chosen {
        OciChoice::Only => oci_image(image)?.map_or(OciChoice::Only, OciChoice::Named),
        chosen => chosen,
    };
    Ok(ImageName::Oci {
        path,
        explicit,
        image,
    })
}

fn position(number: &str) -> Result<usize, NameError> {
    let parsed: i64 = number
        .parse()
        .map_err(|_| NameError::IndexNumber(number.to_owned()))?;
    usize::try_from(parsed).map_err(|_| NameError::NegativeIndex(parsed))
}

/// Letters and digits, with separators between them; components of it with `/` between them.
fn oci_image(image: &str) -> Result<Option<String>, NameError> {
    if image.is_empty() {
        return Ok(None);
    }
    let is_component = |component: &str| {
        let is_word = |b: u8| b.is_ascii_alphanumeric();
        let bytes = component.as_bytes();
        let ends_well = bytes.first().copied().is_some_and(is_word)
            && bytes.last().copied().is_some_and(is_word);
        ends_well
            && bytes.split(|b| is_word(*b)).all(|between| {
                matches!(between, [] | b"--") || matches!(between, [one] if b"-._:@+".contains(one))
            })
    };
    if image.split('/').all(is_component) {
        Ok(Some(image.to_owned()))
    } else {
        Err(NameError::OciImage(image.to_owned()))
    }
}

fn docker_archive(rest: &str) -> Result<ImageName, NameError> {
    if rest.is_empty() {
        return Err(NameError::ArchiveForm(String::new()));
    }
    let Some((path, image)) = rest.split_once(':') else {
        return Ok(ImageName::DockerArchive {
            path: rest.into(),
            image: ArchiveChoice::Only,
        });
    };
    let image = if let Some(number) = image.strip_prefix('@') {
        ArchiveChoice::At(position(number)?)
    } else {
        let named = Named::parse(image).map_err(NameError::ArchiveReference)?;
        if named.digest.is_some() {
            return Err(NameError::ArchiveDigest(named));
        }
        ArchiveChoice::Named(named.with_default_tag())
    };
    Ok(ImageName::DockerArchive {
        path: path.into(),
        image,
    })
}

/// The layers must be there, as containers' parser has it.
fn tarball(rest: &str) -> Result<ImageName, NameError> {
    let layers: Vec<String> = rest.split(':').map(str::to_owned).collect();
    for path in layers.iter().filter(|path| *path != STDIN) {
        let stat = hod_fsx::stat(std::path::Path::new(path));
        stat.map_err(|error| NameError::Tarball {
            path: path.clone(),
            problem: match error.kind() {
                hod_fsx::IoKind::Permission => "permission denied".to_owned(),
                _ => "no such file or directory".to_owned(),
            },
        })?;
    }
    Ok(ImageName::Tarball(layers))
}

fn daemon(rest: &str) -> Result<DaemonImage, NameError> {
    if let Ok(id) = rest.parse::<Digest>() {
        return Ok(DaemonImage::Id(id));
    }
    let named = Named::parse(rest)?;
    if named.familiar_name() == "sha256" {
        return Err(NameError::ReservedName(rest.to_owned()));
    }
    if named.is_name_only() {
        return Err(NameError::DaemonNameOnly(named.familiar()));
    }
    if named.tag.is_some() && named.digest.is_some() {
        return Err(NameError::DaemonTagAndDigest);
    }
    Ok(DaemonImage::Named(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_skopeo_shows_them() {
        for (text, shown) in [
            ("docker://busybox", "docker://busybox:latest"),
            ("docker://docker.io/library/busybox:1", "docker://busybox:1"),
            ("docker://h:5000/a/b", "docker://h:5000/a/b:latest"),
            (
                "docker://h.io/a@@unknown-digest@@",
                "docker://h.io/a@@unknown-digest@@",
            ),
            ("dir:/", "dir:/"),
            ("oci:/x", "oci:/x:"),
            ("oci:/x:", "oci:/x:"),
            ("oci:/x:a/b:1@2+c--d", "oci:/x:a/b:1@2+c--d"),
            ("oci:/x:@3", "oci:/x:@3"),
            ("oci-archive:/x:r", "oci-archive:/x:r"),
            ("docker-archive:f", "docker-archive:f"),
            (
                "docker-archive:f:a",
                "docker-archive:f:docker.io/library/a:latest",
            ),
            ("docker-archive:f:@1", "docker-archive:f:@1"),
            ("docker-daemon:a:1", "docker-daemon:a:1"),
            ("tarball:-:/", "tarball:-:/"),
        ] {
            assert_eq!(ImageName::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn wrong_names_have_skopeos_messages() {
        for (text, message) in [
            (
                "foo",
                "Invalid image name \"foo\", expected colon-separated transport:reference",
            ),
            (
                "nosuch:foo",
                "Invalid image name \"nosuch:foo\", unknown transport \"nosuch\"",
            ),
            (
                "ostree:x",
                "The transport \"ostree:\" is not supported in this build",
            ),
            (
                "docker:x",
                "docker: image reference x does not start with //",
            ),
            (
                "docker://A",
                "invalid reference format: repository name must be lowercase",
            ),
            ("docker://a b", "invalid reference format"),
            (
                "docker://a:1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "Docker references with both a tag and digest are currently not supported",
            ),
            ("oci:/x:a b", "Invalid image a b"),
            ("oci:/x:a---b", "Invalid image a---b"),
            (
                "oci:/x:@x",
                "Invalid source index @x: not an integer: strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            (
                "oci:/x:@-1",
                "Invalid source index @-1: must not be negative",
            ),
            ("dir:/no/such/dir/x", "lstat /no: no such file or directory"),
            (
                "docker-daemon:busybox",
                "docker-daemon: reference busybox has neither a tag nor a digest",
            ),
            (
                "docker-daemon:sha256:abc",
                "Invalid docker-daemon: reference sha256:abc: The sha256 repository name is reserved for (non-shortened) digest references",
            ),
        ] {
            assert_eq!(ImageName::parse(text).unwrap_err().to_string(), message);
        }
    }
}
