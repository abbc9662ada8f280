//! `skopeo list-tags`

use std::path::Path;

use serde::Serialize;

use crate::failure::{Done, Failure};
use crate::go_json;
use crate::name::{ImageName, Named};
use crate::screen::Screen;
use crate::source::{OpenRegistry, Opening, entries_of_archive};
use crate::wording;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    tags: Vec<String>,
}

/// Prints the tags of a repository, or the names in an archive.
pub(crate) async fn run(opening: &Opening<'_>, text: &str) -> Done {
    opening.flags.check()?;
    let Some((transport, rest)) = text.split_once(':') else {
        return Err(Failure::new(format!(
            "Invalid {}: does not specify a transport",
            hod_gotext::quote(text)
        )));
    };
    let tags = match transport {
        "docker" => of_registry(opening, rest).await?,
        "docker-archive" => {
            let name = text.to_owned();
            let tmpdir = opening.tmpdir.map(Path::to_owned);
            hod_bridge::run(move || of_archive(&name, tmpdir.as_deref())).await?
        }
        other => {
            return Err(Failure::new(format!(
                "Unsupported transport '{other}' for tag listing. Only supported: docker, \
                 docker-archive"
            )));
        }
    };
    let mut text = go_json::indented(&tags);
    text.push('\n');
    Screen::result(text.as_bytes())
}

async fn of_registry(opening: &Opening<'_>, rest: &str) -> Done<Tags> {
    let Some(name) = rest.strip_prefix("//") else {
        return Err(Failure::new(format!(
            "docker: image reference docker:{rest} does not start with docker://"
        )));
    };
    let named = Named::parse(name).map_err(|error| Failure::new(error.to_string()))?;
    if !named.is_name_only() {
        return Err(Failure::new("No tag or digest allowed in reference"));
    }
    let registry = OpenRegistry::open(opening.host, opening.flags, &named).await?;
    let tags = registry.client.tags.list(&registry.repo).await;
    let tags =
        tags.map_err(|error| wording::of_tags(&error).during("Error listing repository tags"))?;
    Ok(Tags {
        repository: Some(named.name()),
        tags: tags.iter().map(ToString::to_string).collect(),
    })
}

/// The names of the images in an archive; those without one by their place.
fn of_archive(name: &str, tmpdir: Option<&Path>) -> Done<Tags> {
    let name = ImageName::parse(name).map_err(|error| Failure::new(error.to_string()))?;
    let ImageName::DockerArchive { path, .. } = name else {
        return Err(Failure::new("not an archive"));
    };
    let mut tags = Vec::new();
    for (at, entry) in entries_of_archive(&path, tmpdir)?.iter().enumerate() {
        if entry.names.is_empty() {
            tags.push(format!("@{at}"));
        }
        for name in &entry.names {
            let named = Named::parse(name).map_err(|error| Failure::new(error.to_string()))?;
            tags.push(named.to_string());
        }
    }
    Ok(Tags {
        repository: None,
        tags,
    })
}
