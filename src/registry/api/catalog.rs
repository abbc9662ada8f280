//! The repositories of a registry: distribution's catalog, or what Harbor's own API lists.

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use crate::api::pages::{Listed, PAGES_MAX, read_list};
use crate::client::Target;
use crate::login::scopes::Scopes;
use crate::login::token::basic;
use crate::wire::transport::Call;
use crate::{Client, RegistryError, RequestLine};
use hod_oci::{Registry, RepositoryName};
use hod_report::Event;

/// The problem with an answer that does not list repositories.
const NO_LIST: &str = "the answer is not a list of repositories";
/// Number of names requested at once; some registries refuse more.
const PAGE_NAMES: usize = 1000;
/// The same for a Harbor, whose maximum this is.
const HARBOR_PAGE_NAMES: usize = 100;

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct HarborRepository {
    name: String,
}

impl Client {
    /// Lists the repositories of a registry that this login may see, in the registry's order; with
    /// a prefix, those that are it or are below it.
    ///
    /// Many registries have no such list, or show it to administrators only.
    pub async fn list_repositories(
        &self,
        registry: &Registry,
        prefix: Option<&RepositoryName>,
    ) -> Result<Vec<RepositoryName>, RegistryError> {
        // It says how to log in, and so whether it is a Harbor.
        self.ask_root(&Target::root(registry)).await?;
        let texts = if self.is_harbor(registry) {
            self.harbor_names(registry, prefix).await?
        } else {
            self.catalog_names(registry).await?
        };
        let mut names = Vec::with_capacity(texts.len());
        for text in texts {
            match text.parse::<RepositoryName>() {
                Ok(name) if prefix.is_none_or(|prefix| is_below(&name, prefix)) => {
                    names.push(name);
                }
                Ok(_) => {}
                Err(error) => self.reporter().event(Event::Warning {
                    text: &format!("{registry}: ignored an invalid repository name: {error}"),
                }),
            }
        }
        Ok(names)
    }

    async fn catalog_names(&self, registry: &Registry) -> Result<Vec<String>, RegistryError> {
        let mut url = self.root(registry)?;
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
        self.read_pages(&listed, url, take).await?;
        Ok(names)
    }

    /// Asks Harbor's API, since its catalog is for its administrators only (facts D7).
    async fn harbor_names(
        &self,
        registry: &Registry,
        prefix: Option<&RepositoryName>,
    ) -> Result<Vec<String>, RegistryError> {
        let project = prefix.and_then(|prefix| prefix.components().next());
        let path = match project {
            Some(project) => format!("/api/v2.0/projects/{project}/repositories"),
            None => "/api/v2.0/repositories".to_owned(),
        };
        let target = Target {
            repository: prefix,
            ..Target::root(registry)
        };
        // Has a project of digits taken for a name, not for a number of the database.
        let is_name = HeaderName::from_static("x-is-resource-name");
        let mut names = Vec::new();
        for page in 1.. {
            let mut url = self.root(registry)?;
            url.set_path(&path);
            url.set_query(Some(&format!("page={page}&page_size={HARBOR_PAGE_NAMES}")));
            if page > PAGES_MAX {
                return Err(RegistryError::Endless {
                    request: Box::new(RequestLine::new(&Method::GET, &url)),
                    n_max: PAGES_MAX,
                    what: "pages",
                });
            }
            let call = Call::new(Method::GET, url)
                .header(is_name.clone(), HeaderValue::from_static("true"));
            let found: Vec<HarborRepository> = self
                .retry(&format!("{registry} repositories"), || async {
                    self.prepare_login(&target).await?;
                    let login = self.login(&target).as_deref().and_then(basic);
                    let answer = self.transport().send(&call, login.as_ref()).await?;
                    if answer.status().as_u16() != 200 {
                        return Err(self.refusal(&target, answer).await);
                    }
                    read_list(answer, NO_LIST).await.map(|(page, _)| page)
                })
                .await?;
            let is_last = found.len() < HARBOR_PAGE_NAMES;
            names.extend(found.into_iter().map(|repository| repository.name));
            if is_last {
                break;
            }
        }
        Ok(names)
    }
}

fn is_below(name: &RepositoryName, prefix: &RepositoryName) -> bool {
    let rest = name.as_str().strip_prefix(prefix.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
