//! The calls of `/api/v2.0`, for Harbor 2.8 to 2.15.
//!
//! Quotas and immutable tags are not in the facts; they follow Harbor's own description of its API
//! (`api/v2.0/swagger.yaml`): `ProjectSummary`, `ImmutableRule`, `Tag`.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Harbor, Project};
use crate::RegistryError;
use crate::login::context::Context;
use crate::login::session::Session;
use crate::login::target::Target;
use crate::login::token::basic;
use crate::wire::endpoint::same_origin;
use crate::wire::transport::{Answer, Call};
use hod_oci::{RepositoryName, Tag};

/// Maximum length of an answer in bytes.
const ANSWER_LEN_MAX: u64 = 4 * 1024 * 1024;
/// Number of projects requested at once, which is the maximum of Harbor's pages.
const PAGE_LEN: usize = 100;
/// Maximum total length of the names of projects in one request, in bytes: proxies accept lines of
/// a few KiB.
const NAMES_LEN_MAX: usize = 2048;
/// Has a name of digits taken for a name, not for a number of the database.
const IS_NAME: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-is-resource-name"),
    HeaderValue::from_static("true"),
);

/// Harbor's description of itself, of which logged-in users see more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SystemInfo {
    /// `v2.14.4-0f3c2a1b`.
    #[serde(default, rename = "harbor_version")]
    pub version: Option<String>,
    /// Whether nothing may be written.
    #[serde(default)]
    pub read_only: Option<bool>,
    /// Who may create projects.
    #[serde(default, rename = "project_creation_restriction")]
    pub creation: Option<Creation>,
    /// A field that every answer has.
    #[serde(rename = "auth_mode")]
    _auth_mode: String,
}

/// Who may create projects; robots of a project never may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Creation {
    Everyone,
    AdminOnly,
    #[serde(other)]
    Unknown,
}

/// Who may pull from a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectAccess {
    /// Its members.
    Private,
    /// Everyone.
    Public,
}

/// A project to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewProject {
    pub access: ProjectAccess,
    /// The quota in bytes, which Harbor heeds from system administrators only.
    pub storage_limit: Option<u64>,
}

/// Whether a project existed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    Now,
    Before,
}

/// How much a project may hold, and holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageQuota {
    /// `None` for no limit.
    pub limit: Option<u64>,
    pub used: u64,
}

impl StorageQuota {
    /// The remaining space.
    pub fn free(&self) -> u64 {
        let limit = self.limit.unwrap_or(u64::MAX);
        limit.saturating_sub(self.used)
    }
}

/// The kind of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectKind {
    /// Images that were pushed into it.
    Own,
    /// Images of another registry; nothing can be pushed into it.
    ProxyCache,
}

#[derive(Deserialize)]
struct WireProject {
    name: String,
    registry_id: Option<i64>,
}

impl WireProject {
    fn kind(&self) -> ProjectKind {
        match self.registry_id {
            Some(id) if id > 0 => ProjectKind::ProxyCache,
            _ => ProjectKind::Own,
        }
    }
}

#[derive(Deserialize)]
struct WireSummary {
    quota: Option<WireQuota>,
}

#[derive(Default, Deserialize)]
struct WireQuota {
    hard: Option<WireResources>,
    used: Option<WireResources>,
}

#[derive(Deserialize)]
struct WireResources {
    storage: Option<i64>,
}

#[derive(Deserialize)]
struct WireRule {
    #[serde(default)]
    disabled: bool,
}

#[derive(Deserialize)]
struct WireTag {
    name: String,
    #[serde(default)]
    immutable: bool,
}

/// The request for whether a project exists, which every login may send.
pub(super) fn head_project(context: &Context, project: &Project) -> Result<Call, RegistryError> {
    let mut url = url(context, project, "projects")?;
    url.query_pairs_mut()
        .append_pair("project_name", &project.name);
    Ok(Call::new(Method::HEAD, url))
}

/// The path of a repository of a project.
pub(super) fn repository_path(project: &Project, repository: &RepositoryName) -> String {
    let rest = repository.as_str().split_once('/');
    // Escaped twice, as Harbor wants it.
    let rest = rest.map_or("", |(_, rest)| rest).replace('/', "%252F");
    format!("projects/{}/repositories/{rest}", project.name)
}

/// The URL of something below `/api/v2.0/`; what is in `path` must be escaped already.
pub(super) fn url(context: &Context, project: &Project, path: &str) -> Result<Url, RegistryError> {
    let mut url = context.root(&project.repo.registry)?;
    url.set_path(&format!("/api/v2.0/{path}"));
    Ok(url)
}

impl Harbor {
    /// Returns Harbor's description of itself for users who push to `project`; `None` when the API is
    /// not accessible.
    pub fn system_info<'a>(
        &'a self,
        project: &'a Project,
    ) -> BoxFuture<'a, Result<Option<SystemInfo>, RegistryError>> {
        Box::pin(async move { self.read(project, "systeminfo").await })
    }

    /// Whether the project exists; `None` when this login may not know.
    ///
    /// A proxy that hides the API answers 404 as well: [`Harbor::system_info`] distinguishes them.
    pub fn has_project<'a>(
        &'a self,
        project: &'a Project,
    ) -> BoxFuture<'a, Result<Option<bool>, RegistryError>> {
        Box::pin(async move {
            let call = head_project(self.session.context(), project)?;
            self.session
                .retry(call.url.path(), || async {
                    let answer = self.send(project, &call).await?;
                    match answer.status() {
                        // As by a proxy that sends everyone to its own log-in page.
                        _ if !same_origin(&answer.url, &call.url) => Ok(None),
                        // Harbor answers like this only to a login that it accepts.
                        200 => {
                            let target = Target::push(&project.repo);
                            self.session.context().note_accepted_login(&target);
                            Ok(Some(true))
                        }
                        404 => Ok(Some(false)),
                        _ if answer.meaning().is_transient() => {
                            Err(self.refusal(project, answer).await)
                        }
                        _ => Ok(None),
                    }
                })
                .await
        })
    }

    /// Creates the project if it does not exist. A concurrent creation is not an error, nor is a
    /// failure after which the project exists.
    pub fn create_project<'a>(
        &'a self,
        project: &'a Project,
        new: NewProject,
    ) -> BoxFuture<'a, Result<Created, RegistryError>> {
        Box::pin(async move {
            let is_public = match new.access {
                ProjectAccess::Private => "false",
                ProjectAccess::Public => "true",
            };
            let mut body = json!({
                "project_name": project.name,
                "metadata": {"public": is_public},
            });
            if let Some(limit) = new.storage_limit {
                body["storage_limit"] = json!(limit);
            }
            let mut call = Call::new(
                Method::POST,
                url(self.session.context(), project, "projects")?,
            )
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            call.body = body.to_string().into();
            let created = self
                .session
                .retry(call.url.path(), || async {
                    let error = match self.send(project, &call).await {
                        Ok(answer) => match answer.status() {
                            201 if same_origin(&answer.url, &call.url) => return Ok(Created::Now),
                            409 => return Ok(Created::Before),
                            _ => self.refusal(project, answer).await,
                        },
                        Err(error) => error,
                    };
                    match self.has_project(project).await {
                        Ok(Some(true)) => Ok(Created::Before),
                        _ => Err(error),
                    }
                })
                .await?;
            let memory = self.session.memory(&self.registry);
            self.session
                .context()
                .note_accepted_login(&Target::push(&project.repo));
            memory.forget_tokens();
            memory.causes.lock().await.remove(&project.name);
            Ok(created)
        })
    }

    /// Those of the projects that this login may see, by name. Robots may list their project even
    /// where they may not read it.
    ///
    /// To a wrong login Harbor lists what is public, so that an answer proves no login.
    pub fn visible_projects<'a>(
        &'a self,
        projects: impl IntoIterator<Item = &'a Project>,
    ) -> BoxFuture<'a, Result<BTreeMap<String, ProjectKind>, RegistryError>> {
        let projects = projects.into_iter().filter(|one| one.has_valid_name());
        let projects: Vec<&Project> = projects.collect();
        Box::pin(async move {
            let mut visible = BTreeMap::new();
            let mut rest = projects.as_slice();
            while let Some(first) = rest.first() {
                let mut len = 0;
                let fits = |project: &&&Project| {
                    len += project.name.len();
                    len <= NAMES_LEN_MAX
                };
                let n = rest.iter().take(PAGE_LEN).take_while(fits).count();
                let (page, others) = rest.split_at(n.max(1));
                // Quoted, or Harbor reads names of digits as numbers.
                let names: Vec<String> = page
                    .iter()
                    .map(|one| format!("%22{}%22", one.name))
                    .collect();
                let path = format!(
                    "projects?q=name%3D%7B{}%7D&page_size={PAGE_LEN}&with_detail=false",
                    names.join("+")
                );
                let found: Option<Vec<WireProject>> = self.read(first, &path).await?;
                // A proxy may have dropped the filter.
                let is_asked = |found: &WireProject| page.iter().any(|one| one.name == found.name);
                for found in found.unwrap_or_default().into_iter().filter(is_asked) {
                    let kind = found.kind();
                    visible.insert(found.name, kind);
                }
                rest = others;
            }
            Ok(visible)
        })
    }

    /// The project's quota; `None` when this login may not see it.
    pub fn quota<'a>(
        &'a self,
        project: &'a Project,
    ) -> BoxFuture<'a, Result<Option<StorageQuota>, RegistryError>> {
        Box::pin(async move {
            let path = format!("projects/{}/summary", project.name);
            let found: Option<WireSummary> = self.read(project, &path).await?;
            let Some(found) = found else {
                return Ok(None);
            };
            // Without one, this Harbor counts nothing.
            let quota = found.quota.unwrap_or_default();
            // -1 is without a limit.
            let storage = |resources: Option<WireResources>| resources?.storage?.try_into().ok();
            Ok(Some(StorageQuota {
                limit: storage(quota.hard),
                used: storage(quota.used).unwrap_or_default(),
            }))
        })
    }

    /// Whether any tag of the project may be immutable; `None` when this login may not see it.
    pub fn has_immutable_rules<'a>(
        &'a self,
        project: &'a Project,
    ) -> BoxFuture<'a, Result<Option<bool>, RegistryError>> {
        Box::pin(async move {
            let path = format!("projects/{}/immutabletagrules", project.name);
            let rules: Option<Vec<WireRule>> = self.read(project, &path).await?;
            Ok(rules.map(|rules| rules.iter().any(|rule| !rule.disabled)))
        })
    }

    /// Whether an existing tag of the project's repository is immutable according to Harbor; `None`
    /// when this login may not see it.
    pub fn is_immutable<'a>(
        &'a self,
        (project, repository): (&'a Project, &'a RepositoryName),
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<Option<bool>, RegistryError>> {
        Box::pin(async move {
            let path = format!(
                "{}/artifacts/{tag}/tags?with_immutable_status=true&page_size=100",
                repository_path(project, repository)
            );
            let tags: Option<Vec<WireTag>> = self.read(project, &path).await?;
            Ok(tags.and_then(|tags| {
                let found = tags.into_iter().find(|found| found.name == tag.as_str());
                found.map(|found| found.immutable)
            }))
        })
    }

    /// Reads an object; `None` when it is not accessible or not valid.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        project: &Project,
        path: &str,
    ) -> Result<Option<T>, RegistryError> {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let mut url = url(self.session.context(), project, path)?;
        url.set_query(query);
        let call = Call::new(Method::GET, url).header(IS_NAME.0, IS_NAME.1);
        self.session
            .retry(call.url.path(), || async {
                let answer = self.send(project, &call).await?;
                match answer.status() {
                    200 if same_origin(&answer.url, &call.url) => {
                        let bytes = answer.read(ANSWER_LEN_MAX).await?;
                        Ok(serde_json::from_slice(&bytes).ok())
                    }
                    _ if answer.meaning().is_transient() => {
                        Err(self.refusal(project, answer).await)
                    }
                    _ => Ok(None),
                }
            })
            .await
    }

    /// Sends with user and password; a redirect to another origin does not get them.
    pub(super) async fn send(
        &self,
        project: &Project,
        call: &Call,
    ) -> Result<Answer, RegistryError> {
        send_with_password(&self.session, &Target::push(&project.repo), call).await
    }

    pub(super) async fn refusal(&self, project: &Project, answer: Answer) -> RegistryError {
        self.session
            .refusal(&Target::push(&project.repo), answer)
            .await
    }
}

/// Sends with user and password; a redirect to another origin does not get them.
pub(super) async fn send_with_password(
    session: &Session,
    target: &Target<'_>,
    call: &Call,
) -> Result<Answer, RegistryError> {
    let context = session.context();
    context.prepare_login(target).await?;
    let login = context.login(target).as_deref().and_then(basic);
    context.transport.send(call, login.as_ref()).await
}
