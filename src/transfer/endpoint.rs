//! Endpoints: sources and targets of images, as the user writes them.
//!
//! `transport:details` states the kind; the kind of a bare word is detected. A transport is one
//! line of [`TRANSPORTS`] here and one adapter of [`super::Source`] or [`super::Sink`].

use std::path::{Path, PathBuf};

use super::ChosenImage;
use hod_oci::{Reference, ReferenceError, Registry, RepositoryName};
use hod_report::{Diagnose, Diagnosis, ErrorClass};

/// A source or target of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// All images of a registry, or all below a prefix.
    Registry {
        registry: Registry,
        prefix: Option<RepositoryName>,
    },
    /// One image of a registry; without a registry, of the one that the user chose.
    Image(Reference),
    /// Images of a repository by a tag pattern, as in a line of a list.
    Tags(String),
    /// A file or directory whose kind is named, and perhaps one image in it.
    Local {
        transport: Transport,
        path: PathBuf,
        image: Option<ChosenImage>,
    },
    /// A file or directory whose kind is detected: a store, a bundle, a layout, a list.
    Path(PathBuf),
}

/// The properties that an endpoint states in addition to its path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    pub transport: Option<Transport>,
    /// The only selected image.
    pub image: Option<ChosenImage>,
}

/// The kinds of files and directories that hold images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Store,
    Bundle,
    Dir,
    Oci,
    OciArchive,
    DockerArchive,
}

/// The transports that name a file or directory, by the word in front of the colon.
pub const TRANSPORTS: &[(&str, Transport)] = &[
    ("store", Transport::Store),
    ("bundle", Transport::Bundle),
    ("dir", Transport::Dir),
    ("oci", Transport::Oci),
    ("oci-archive", Transport::OciArchive),
    ("docker-archive", Transport::DockerArchive),
];

impl Transport {
    /// The word in front of the colon.
    pub fn word(self) -> &'static str {
        let mut transports = TRANSPORTS.iter();
        let found = transports.find(|(_, transport)| *transport == self);
        found.map_or("", |(word, _)| word)
    }

    /// The transport in front of a text, and the rest.
    pub fn split(text: &str) -> Option<(Self, &str)> {
        let (word, rest) = text.split_once(':')?;
        let mut transports = TRANSPORTS.iter();
        let (_, transport) = transports.find(|(known, _)| *known == word)?;
        Some((*transport, rest))
    }

    /// The kind in words, with an article.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Store => "a store",
            Self::Bundle => "a bundle",
            Self::Dir => "a directory of `dir:` layouts",
            Self::Oci => "an OCI layout",
            Self::OciArchive => "an archive of an OCI layout",
            Self::DockerArchive => "a `docker save` archive",
        }
    }

    /// Whether images can be added to an existing one; otherwise it must be new.
    pub fn takes_more(self) -> bool {
        matches!(self, Self::Store | Self::Dir | Self::Oci)
    }

    /// Whether it is a tar, compressed or not.
    pub fn is_tar(self) -> bool {
        matches!(self, Self::Bundle | Self::OciArchive | Self::DockerArchive)
    }

    /// The transport of a new file, if its name states one.
    pub fn of_new(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy();
        (name.ends_with(".tar") || name.ends_with(".tar.zst")).then_some(Self::Bundle)
    }

    /// Whether an image may be chosen behind the path: `oci:PATH:IMAGE`.
    fn takes_image(self) -> bool {
        matches!(self, Self::Oci | Self::OciArchive | Self::DockerArchive)
    }
}

/// How names end that are files, whether they exist or not, and not hosts.
pub const FILE_EXTENSIONS: &[&str] = &[
    "tar", "tgz", "txz", "tzst", "zst", "zstd", "gz", "xz", "bz2", "oci", "haul", "txt", "list",
    "lock", "csv", "yaml", "yml", "json", "xml", "toml", "pem", "crt",
];

/// The transport of registries.
const DOCKER: &str = "docker:";

/// Why a text is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("nothing follows `{transport}:`")]
    Empty { transport: &'static str },
    #[error("`{text}` is not a registry or an image")]
    Docker {
        text: String,
        #[source]
        source: ReferenceError,
    },
    #[error("`{image}`, after the path in `{text}`, is not a tag or the name of an image")]
    Image {
        text: String,
        image: String,
        #[source]
        source: ReferenceError,
    },
    #[error("`{text}` has the transport `docker:` without `//`")]
    Slashes { text: String },
    #[error("`{text}` not found, and it is not a registry or an image")]
    Unknown { text: String },
}

impl Diagnose for EndpointError {
    fn diagnose(&self) -> Diagnosis {
        let usage = Diagnosis::new(ErrorClass::Usage);
        match self {
            Self::Empty { transport } => usage.hint(format!("Write `{transport}:PATH`.")),
            Self::Slashes { .. } => usage.hint(format!("Write `{DOCKER}//HOST/REPOSITORY:TAG`.")),
            Self::Docker { .. } => usage,
            Self::Image { .. } => usage.hint(
                "Name one image by its tag or its whole name: `oci:PATH:1.27`, `oci:PATH:nginx:1.27`.",
            ),
            Self::Unknown { .. } => {
                let words = TRANSPORTS.iter().map(|(word, _)| format!("`{word}:PATH`"));
                usage.hint(format!(
                    "Name a file or directory that exists, a registry (`HOST[/PREFIX]`), or an image \
                     (`REPOSITORY:TAG`), or say what it is: {}.",
                    words.collect::<Vec<_>>().join(", ")
                ))
            }
        }
    }
}

impl Endpoint {
    /// Parses `text`; `exists` returns whether a file or directory exists, which decides about bare
    /// words.
    pub fn parse(text: &str, exists: impl Fn(&Path) -> bool) -> Result<Self, EndpointError> {
        if let Some((transport, path)) = Transport::split(text) {
            if path.is_empty() {
                let transport = transport.word();
                return Err(EndpointError::Empty { transport });
            }
            return local(transport, path, exists).map_err(|(image, source)| {
                EndpointError::Image {
                    text: text.to_owned(),
                    image: image.to_owned(),
                    source,
                }
            });
        }
        if let Some(rest) = text.strip_prefix(DOCKER) {
            let Some(name) = rest.strip_prefix("//") else {
                let text = text.to_owned();
                return Err(EndpointError::Slashes { text });
            };
            if hod_list::has_pattern(name) {
                return Ok(Self::Tags(name.to_owned()));
            }
            return remote(name).map_err(|source| EndpointError::Docker {
                text: text.to_owned(),
                source,
            });
        }
        let path = Path::new(text);
        let is_named = |extension| FILE_EXTENSIONS.iter().any(|name| extension == *name);
        let is_file = path.extension().is_some_and(is_named);
        let has_pattern = hod_list::has_pattern(text);
        // No name begins with `@`: `@FILE` is a list.
        let is_path = text == "-" || text.starts_with(['/', '.', '@']) || (is_file && !has_pattern);
        if is_path || exists(path) {
            return Ok(Self::Path(path.to_owned()));
        }
        if has_pattern {
            return Ok(Self::Tags(text.to_owned()));
        }
        let unknown = || EndpointError::Unknown {
            text: text.to_owned(),
        };
        match remote(text) {
            // A word without a tag, a digest or a host may be anything.
            Ok(Self::Image(image))
                if image.registry.is_none() && image.tag.is_none() && image.digest.is_none() =>
            {
                Err(unknown())
            }
            Ok(endpoint) => Ok(endpoint),
            Err(_) => Err(unknown()),
        }
    }
}

/// A file or directory and the image after a colon, unless a path with a colon exists; or the text
/// that is not an image.
fn local(
    transport: Transport,
    text: &str,
    exists: impl Fn(&Path) -> bool,
) -> Result<Endpoint, (&str, ReferenceError)> {
    let split = || text.split_once(':').filter(|(path, _)| !path.is_empty());
    let (path, image) = match split() {
        Some((path, image)) if transport.takes_image() && !exists(Path::new(text)) => {
            (path, Some(image))
        }
        _ => (text, None),
    };
    let image = match image {
        Some(image) => Some(image.parse().map_err(|source| (image, source))?),
        None => None,
    };
    Ok(Endpoint::Local {
        transport,
        path: PathBuf::from(path),
        image,
    })
}

/// Parses a name in a registry: an image has a tag, a digest or no host; anything else is a
/// registry and a prefix.
fn remote(text: &str) -> Result<Endpoint, ReferenceError> {
    let text = text.trim_end_matches('/');
    let (first, rest) = match text.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (text, None),
    };
    let is_image = |text: &str| text.contains(['@', ':']);
    // As in references, if a path follows: `harbor:5000/acme`.
    let is_host = is_host(first) || (rest.is_some() && first.contains(':') && !first.contains('@'));
    match rest {
        None if is_host => Ok(Endpoint::Registry {
            registry: first.parse()?,
            prefix: None,
        }),
        Some(prefix) if is_host && !is_image(prefix) => Ok(Endpoint::Registry {
            registry: first.parse()?,
            prefix: Some(prefix.parse()?),
        }),
        _ => Ok(Endpoint::Image(text.parse()?)),
    }
}

/// Whether a word is a host, with a port or without, and not a repository with a tag: `redis:7`.
fn is_host(word: &str) -> bool {
    let is_name = |host: &str| host.contains('.') || host == "localhost" || host.ends_with(']');
    match word.rsplit_once(':') {
        _ if word.contains('@') => false,
        Some((host, port)) => port.parse::<u16>().is_ok() && is_name(host),
        None => is_name(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        let exists = |path: &Path| {
            ["store", "site-a.txt", "redis:7", "a:b"].contains(&path.to_str().unwrap())
        };
        match Endpoint::parse(text, exists) {
            Ok(Endpoint::Registry { registry, prefix }) => {
                let prefix = prefix.map(|p| format!("/{p}")).unwrap_or_default();
                format!("registry {registry}{prefix}")
            }
            Ok(Endpoint::Image(image)) => {
                let host = image.registry.map(|r| format!("{r} ")).unwrap_or_default();
                let tag = image.tag.map(|t| format!(":{t}")).unwrap_or_default();
                let digest = image.digest.map(|_| "@").unwrap_or_default();
                format!("image {host}{}{tag}{digest}", image.repository)
            }
            Ok(Endpoint::Tags(text)) => format!("tags {text}"),
            Ok(Endpoint::Local {
                transport,
                path,
                image,
            }) => {
                let image = image.map(|image| format!(" {image}")).unwrap_or_default();
                format!("{transport:?} {}{image}", path.display())
            }
            Ok(Endpoint::Path(path)) => format!("path {}", path.display()),
            Err(EndpointError::Docker { .. }) => "not docker".to_owned(),
            Err(EndpointError::Empty { .. }) => "empty".to_owned(),
            Err(EndpointError::Image { image, .. }) => format!("not an image: {image}"),
            Err(EndpointError::Slashes { .. }) => "slashes".to_owned(),
            Err(EndpointError::Unknown { .. }) => "unknown".to_owned(),
        }
    }

    #[test]
    fn endpoints_are_told_apart() {
        let digest = format!("alpine@sha256:{}", "0".repeat(64));
        for (text, expect) in [
            ("store", "path store"),
            ("site-a.txt", "path site-a.txt"),
            ("redis:7", "path redis:7"),
            ("-", "path -"),
            ("./harbor.corp", "path ./harbor.corp"),
            ("/srv/new", "path /srv/new"),
            ("new.tar", "path new.tar"),
            ("lists/missing.txt", "path lists/missing.txt"),
            ("out.tgz", "path out.tgz"),
            ("out.tar.gz", "path out.tar.gz"),
            ("out.tar.xz", "path out.tar.xz"),
            ("out.tar.zst", "path out.tar.zst"),
            ("@retry.txt", "path @retry.txt"),
            ("@retry", "path @retry"),
            ("../x", "path ../x"),
            ("tar.example", "registry tar.example"),
            ("harbor.txt:5000", "registry harbor.txt:5000"),
            ("harbor.tar.corp", "registry harbor.tar.corp"),
            ("store:new", "Store new"),
            ("bundle:b.tar", "Bundle b.tar"),
            ("dir:out", "Dir out"),
            ("oci:out", "Oci out"),
            ("oci-archive:a.tar", "OciArchive a.tar"),
            ("docker-archive:/a/b.tar", "DockerArchive /a/b.tar"),
            ("oci:out:1.0", "Oci out 1.0"),
            ("oci:/a/b:q.io:80/x/y:1", "Oci /a/b q.io:80/x/y:1"),
            ("oci-archive:a.tar:latest", "OciArchive a.tar latest"),
            (
                "docker-archive:a.tar:nginx:1",
                "DockerArchive a.tar nginx:1",
            ),
            ("oci:a:b", "Oci a:b"),
            ("oci:out:", "not an image: "),
            ("docker-archive:a.tar:@1", "not an image: @1"),
            ("oci::1", "Oci :1"),
            ("dir:out:1.0", "Dir out:1.0"),
            ("store:a:1", "Store a:1"),
            ("oci:", "empty"),
            ("harbor.corp", "registry harbor.corp"),
            ("harbor.corp:8443/", "registry harbor.corp:8443"),
            ("localhost:5000/mirror", "registry localhost:5000/mirror"),
            ("[::1]:5000/p", "registry [::1]:5000/p"),
            (
                "harbor.corp/offline/site",
                "registry harbor.corp/offline/site",
            ),
            ("harbor:5000/acme", "registry harbor:5000/acme"),
            ("nginx:1.27", "image nginx:1.27"),
            ("nginx:27", "image nginx:27"),
            ("library/nginx:1", "image library/nginx:1"),
            ("quay.io/coreos/etcd:v3", "image quay.io coreos/etcd:v3"),
            (digest.as_str(), "image alpine@"),
            ("nginx:*", "tags nginx:*"),
            ("harbor:5000/a/b:~1.*", "tags harbor:5000/a/b:~1.*"),
            ("nginx:>=1.2 <2 limit=3", "tags nginx:>=1.2 <2 limit=3"),
            ("docker://q.io/a:^1", "tags q.io/a:^1"),
            ("nginx:~.*.tar", "tags nginx:~.*.tar"),
            ("./nginx:*", "path ./nginx:*"),
            ("store:*", "Store *"),
            ("nginx", "unknown"),
            ("docker://nginx", "image nginx"),
            ("docker://quay.io/coreos", "registry quay.io/coreos"),
            ("docker:nginx", "slashes"),
            ("docker://Harbor/X:y", "not docker"),
            ("https://harbor.corp", "unknown"),
            ("a b", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(show(text), expect, "{text}");
        }
    }
}
