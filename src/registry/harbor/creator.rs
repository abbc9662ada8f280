//! Whether a login may create projects, as far as Harbor says without creating one.

use futures_util::future::BoxFuture;
use reqwest::Method;
use serde::Deserialize;

use super::api::{Creation, url};
use super::{Harbor, Project};
use crate::RegistryError;
use crate::wire::endpoint::same_origin;
use crate::wire::transport::Call;

/// Whether a login may create projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creator {
    Allowed,
    /// It is a robot of one project, and those never may.
    ProjectRobot,
    /// It is a user, and this Harbor lets only administrators create projects.
    NotAdmin,
    /// Harbor does not say; system robots cannot see their own permissions.
    Unknown,
}

/// The role of a login in Harbor's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    User,
    Robot,
    Unknown,
}

#[derive(Deserialize)]
struct WirePermission {
    resource: String,
    action: String,
}

impl Harbor {
    /// Whether the login for `project` may create it, where `creation` says who may in general.
    ///
    /// A system robot needs the permission only where creation is restricted; a robot of one
    /// project never may, and its name has its project's in front: `robot$offline+ci`.
    pub fn creator<'a>(
        &'a self,
        project: &'a Project,
        creation: Option<Creation>,
    ) -> BoxFuture<'a, Result<Creator, RegistryError>> {
        Box::pin(async move {
            let name = self.session.username(project.repo()).unwrap_or_default();
            let has_project = name.contains('+');
            if name.contains('$') && has_project {
                return Ok(Creator::ProjectRobot);
            }
            match creation {
                // Names of robots begin as an administrator chose, and those of users may have a `+`.
                Some(Creation::Everyone) if has_project => {
                    Ok(match self.account(project).await? {
                        Account::Robot => Creator::ProjectRobot,
                        Account::User => Creator::Allowed,
                        Account::Unknown => Creator::Unknown,
                    })
                }
                Some(Creation::Everyone) => Ok(Creator::Allowed),
                Some(Creation::AdminOnly) => {
                    let path = "users/current/permissions?scope=/system";
                    let found: Option<Vec<WirePermission>> = self.read(project, path).await?;
                    let Some(found) = found else {
                        return Ok(Creator::Unknown);
                    };
                    let creates = |one: &WirePermission| {
                        let resource = one.resource.trim_start_matches('/');
                        resource == "project" && matches!(one.action.as_str(), "create" | "*")
                    };
                    if found.iter().any(creates) {
                        return Ok(Creator::Allowed);
                    }
                    Ok(match self.account(project).await? {
                        Account::Robot if has_project => Creator::ProjectRobot,
                        Account::Robot => Creator::Unknown,
                        Account::User | Account::Unknown => Creator::NotAdmin,
                    })
                }
                Some(Creation::Unknown) | None => Ok(Creator::Unknown),
            }
        })
    }

    /// Harbor tells users about themselves, and robots with 412 that they are none.
    async fn account(&self, project: &Project) -> Result<Account, RegistryError> {
        let call = Call::new(
            Method::GET,
            url(self.session.context(), project, "users/current")?,
        );
        self.session
            .retry(call.url.path(), || async {
                let answer = self.send(project, &call).await?;
                match answer.status() {
                    _ if !same_origin(&answer.url, &call.url) => Ok(Account::Unknown),
                    200 => Ok(Account::User),
                    412 => Ok(Account::Robot),
                    _ if answer.meaning().is_transient() => {
                        Err(self.refusal(project, answer).await)
                    }
                    _ => Ok(Account::Unknown),
                }
            })
            .await
    }
}
