//! The repositories of a registry.

use serde::Deserialize;

use crate::RegistryError;
use crate::api::pages::{Listed, read_pages};
use crate::login::scopes::Scopes;
use crate::login::session::Session;
use crate::login::target::Target;
use hod_oci::{Registry, RepositoryName};
use hod_report::Event;

/// The problem with an answer that does not list repositories.
pub(crate) const NO_LIST: &str = "the answer is not a list of repositories";
/// Number of names requested at once; some registries refuse more.
const PAGE_NAMES: usize = 1000;

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

/// Lists the names in a registry's catalog.
pub(crate) async fn catalog_names(
    session: &Session,
    registry: &Registry,
) -> Result<Vec<String>, RegistryError> {
    let mut url = session.root(registry)?;
    url.set_path("/v2/_catalog");
    url.set_query(Some(&format!("n={PAGE_NAMES}")));
    let listed = Listed {
        target: Target {
            scopes: Scopes::catalog(),
            ..Target::root(registry)
        },
        what: &format!("{registry} catalog"),
        problem: NO_LIST,
    };
    let mut names = Vec::new();
    let take = |page: Catalog| names.extend(page.repositories.into_iter().flatten());
    read_pages(session, &listed, url, take).await?;
    Ok(names)
}

/// Parses the names of repositories, of which those that are `prefix` or below it are returned.
pub(crate) fn parse_names(
    session: &Session,
    registry: &Registry,
    prefix: Option<&RepositoryName>,
    texts: Vec<String>,
) -> Vec<RepositoryName> {
    let mut names = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse::<RepositoryName>() {
            Ok(name) if prefix.is_none_or(|prefix| is_below(&name, prefix)) => names.push(name),
            Ok(_) => {}
            Err(error) => session.reporter().event(Event::Warning {
                text: &format!("{registry}: ignored an invalid repository name: {error}"),
            }),
        }
    }
    names
}

fn is_below(name: &RepositoryName, prefix: &RepositoryName) -> bool {
    let rest = name.as_str().strip_prefix(prefix.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
