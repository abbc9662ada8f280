//! The repositories of a Harbor.

use futures_util::future::BoxFuture;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::Harbor;
use super::api::send_with_password;
use crate::api::catalog::{NO_LIST, parse_names};
use crate::api::pages::{PAGES_MAX, read_list};
use crate::login::target::Target;
use crate::wire::transport::Call;
use crate::{RegistryError, RequestLine};
use hod_oci::RepositoryName;

/// Number of names requested at once, which is the maximum of Harbor's pages.
const PAGE_NAMES: usize = 100;

#[derive(Deserialize)]
struct Repository {
    name: String,
}

impl Harbor {
    /// Lists the repositories that this login may see; with a prefix, those that are it or are below
    /// it. The catalog is for administrators only.
    pub fn repositories<'a>(
        &'a self,
        prefix: Option<&'a RepositoryName>,
    ) -> BoxFuture<'a, Result<Vec<RepositoryName>, RegistryError>> {
        Box::pin(async move {
            let (session, registry) = (&self.session, &self.registry);
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
                let mut url = session.root(registry)?;
                url.set_path(&path);
                url.set_query(Some(&format!("page={page}&page_size={PAGE_NAMES}")));
                if page > PAGES_MAX {
                    return Err(RegistryError::Endless {
                        request: Box::new(RequestLine::new(&Method::GET, &url)),
                        n_max: PAGES_MAX,
                        what: "pages",
                    });
                }
                let call = Call::new(Method::GET, url)
                    .header(is_name.clone(), HeaderValue::from_static("true"));
                let found: Vec<Repository> = session
                    .retry(&format!("{registry} repositories"), || async {
                        let answer = send_with_password(session, &target, &call).await?;
                        if answer.status() != 200 {
                            return Err(session.refusal(&target, answer).await);
                        }
                        read_list(answer, NO_LIST).await.map(|(page, _)| page)
                    })
                    .await?;
                let is_last = found.len() < PAGE_NAMES;
                names.extend(found.into_iter().map(|repository| repository.name));
                if is_last {
                    break;
                }
            }
            Ok(parse_names(session, registry, prefix, names))
        })
    }
}
