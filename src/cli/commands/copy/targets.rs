//! Parses the targets of `hod copy`.

use std::path::{Path, PathBuf};

use super::super::filling::Filling;
use super::super::input::{endpoint, place};
use super::super::session::Session;
use super::super::target::RegistryPath;
use super::local::local;
use crate::cli::error::CommandError;
use crate::cli::error::TargetError;
use hod_fsx::LinkMode;
use hod_ops::{Catalog, CopyTarget, OpsError};
use hod_report::{Diagnose as _, ErrorClass};
use hod_transfer::{ChosenImage, Endpoint, EndpointError, Transport};

/// A target as the command line names it.
enum End {
    Registry(RegistryPath),
    Local {
        transport: Transport,
        path: PathBuf,
        image: Option<ChosenImage>,
    },
}

/// The targets of a copy, in their order; registries have one client for all of them.
pub(in crate::cli::commands) async fn targets(
    session: &Session<'_>,
    words: &[String],
    filling: &Filling<'_>,
    link: Option<LinkMode>,
) -> Result<Vec<Box<dyn CopyTarget>>, CommandError> {
    let mut ends: Vec<End> = Vec::new();
    for text in words {
        let end = End::of(session, text)?;
        for (other, name) in ends.iter().zip(words) {
            end.require_apart(text, other, name)?;
        }
        ends.push(end);
    }
    let places = ends.iter().filter_map(|end| match end {
        End::Registry(place) => Some(place.clone()),
        End::Local { .. } => None,
    });
    let places: Vec<RegistryPath> = places.collect();
    let mut registries = Vec::new().into_iter();
    if !places.is_empty() {
        registries = filling.targets(session, places).await?.into_iter();
    }
    let target = |end| match end {
        End::Registry(_) => Ok(registries.next().expect("one for each that is named")),
        End::Local {
            transport,
            path,
            image,
        } => local(transport, path, image, link),
    };
    ends.into_iter().map(target).collect()
}

/// The files and directories that the words name as targets.
pub(in crate::cli::commands) fn outputs(words: &[String]) -> Vec<PathBuf> {
    let ends = words.iter().map(|word| endpoint(Path::new(word)));
    let local = ends.filter_map(|end| match end {
        Ok(Endpoint::Local { path, .. } | Endpoint::Path(path)) => Some(path),
        _ => None,
    });
    local.collect()
}

/// Whether a registry is among the words.
pub(in crate::cli::commands) fn has_registry(words: &[String]) -> bool {
    outputs(words).len() < words.len()
}

impl End {
    fn of(session: &Session<'_>, text: &str) -> Result<Self, CommandError> {
        let registry = || {
            let place = place(text).map_err(|source| CommandError::Target {
                what: "target",
                text: text.to_owned(),
                source,
            });
            place.map(Self::Registry)
        };
        if text.starts_with("docker://") {
            return registry();
        }
        match endpoint(Path::new(text)) {
            Ok(Endpoint::Local {
                transport,
                path,
                image,
            }) => Ok(Self::Local {
                transport,
                path,
                image,
            }),
            Ok(Endpoint::Path(path)) => {
                let transport = transport_of(session, &path)?;
                Ok(Self::Local {
                    transport,
                    path,
                    image: None,
                })
            }
            Ok(Endpoint::Image(_)) => {
                let text = text.to_owned();
                Err(TargetError::Image { text }.into())
            }
            Ok(Endpoint::Registry { .. } | Endpoint::Tags(_)) => registry(),
            Err(CommandError::Endpoint(EndpointError::Unknown { .. })) => {
                registry()?;
                let text = text.to_owned();
                Err(TargetError::Unclear { text }.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses two targets that are the same path, or of which one is inside the other.
    fn require_apart(&self, text: &str, other: &Self, name: &str) -> Result<(), CommandError> {
        let is_same = match (self, other) {
            (Self::Registry(place), Self::Registry(other)) => place == other,
            (Self::Local { path, .. }, Self::Local { path: other, .. }) => {
                // A target that cannot be checked is refused together with the findings of the
                // others.
                let identity = |path: &Path| Some(hod_fsx::try_stat(path).ok()??.identity);
                let there = identity(path);
                let is_one = there.is_some() && there == identity(other);
                let (path, other) = (hod_fsx::absolute(path), hod_fsx::absolute(other));
                if path != other && (path.starts_with(&other) || other.starts_with(&path)) {
                    return Err(TargetError::Inside {
                        target: text.to_owned(),
                        other: name.to_owned(),
                    }
                    .into());
                }
                is_one || path == other
            }
            _ => false,
        };
        if is_same {
            let target = text.to_owned();
            return Err(TargetError::Twice { target }.into());
        }
        Ok(())
    }
}

/// The kind of an existing path without a transport, to which images are added.
fn transport_of(session: &Session<'_>, path: &Path) -> Result<Transport, CommandError> {
    let unclear = || TargetError::Unclear {
        text: path.display().to_string(),
    };
    if hod_fsx::is_stdout(path) {
        let path = path.to_owned();
        return Err(CommandError::OutputStream { path });
    }
    match Catalog::open(path, &session.reading) {
        Ok(catalog) => {
            let kind = catalog.kind();
            let transport = kind.transport().filter(|found| found.takes_more());
            Ok(transport.ok_or_else(|| TargetError::Finished {
                path: path.to_owned(),
                kind: kind.as_str(),
            })?)
        }
        Err(OpsError::NoSource { .. }) => Ok(Transport::of_new(path).ok_or_else(unclear)?),
        Err(OpsError::UnknownSource { .. }) => Err(unclear().into()),
        // Something exists, but its kind is unknown.
        Err(error) if error.diagnose().class == ErrorClass::Verify => Err(unclear().into()),
        Err(error) => Err(error.into()),
    }
}
