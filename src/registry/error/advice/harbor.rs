//! Harbor's refusals: its codes are not those of the specification, and its words say
//! what is wrong, but not what to do.

use crate::error::harbor::{Access, Cause, HarborRefusal};
use crate::error::meaning::Meaning;
use crate::error::refusal::{LoginState, Purpose, Refusal};
use hod_report::{Diagnosis, ErrorClass};

impl Refusal {
    /// Returns the class and the advice for a refusal by Harbor; `None` where there is nothing
    /// specific to say.
    pub(super) fn diagnose_harbor(&self) -> Option<Diagnosis> {
        let repository = self.request.repository().unwrap_or_default();
        let advise = |hint: String| Some(Diagnosis::new(self.class()).hint(hint));
        // Harbor says this before it asks for a login, and so before it is known to be one.
        if self.meaning() == Meaning::BadRequest && self.body.says("invalid repository name") {
            let remedy = if self.request.is_read() {
                format!("Write it as `PROJECT/{repository}`.")
            } else {
                "Pass `--project NAME`.".to_owned()
            };
            return advise(format!(
                "In Harbor, every image is in a project, and `{repository}` names none. {remedy}"
            ));
        }
        let harbor = self.body.harbor()?;
        let project = repository.split('/').next().unwrap_or_default();
        self.harbor_rule(project)
            .or_else(|| advise(self.harbor_hint(harbor, repository, project)?))
    }

    /// The rules of Harbor for which it answers 403, as for a right that is missing.
    fn harbor_rule(&self, project: &str) -> Option<Diagnosis> {
        let host = self.request.host();
        let says = |text: &str| self.meaning() == Meaning::Forbidden && self.body.says(text);
        if says("upper limit") {
            Some(Diagnosis::new(ErrorClass::Space).hint(format!(
                "The storage quota of project `{project}` is used up. Raise it in Harbor \
                 (Administration, Project Quotas), or delete images that are no longer used."
            )))
        } else if says("proxy project") {
            Some(Diagnosis::new(ErrorClass::Policy).hint(format!(
                "`{project}` is a proxy cache, which does not accept pushes. Push into another \
                 project with `--project`."
            )))
        } else if says("read only") {
            Some(Diagnosis::new(ErrorClass::Policy).hint(format!(
                "`{host}` is in read-only mode, as during maintenance. Ask an administrator to end \
                 it (Configuration, System Settings)."
            )))
        } else {
            None
        }
    }

    fn harbor_hint(
        &self,
        harbor: &HarborRefusal,
        repository: &str,
        project: &str,
    ) -> Option<String> {
        let host = self.request.host();
        let code = self.code().unwrap_or_default();
        Some(match (self.meaning(), code) {
            (Meaning::Unauthorized, _) => return self.harbor_unauthorized(harbor, project),
            (Meaning::Forbidden, _) if self.body.says("csrf token") => format!(
                "`{host}` takes this for the session of a browser: a proxy adds a `sid` cookie, which \
                 hod never sends. Configure the proxy not to add it."
            ),
            (Meaning::Forbidden, _) if self.body.says("system admin can create") => {
                "In this Harbor, only administrators may create projects, and robots with that system \
                 permission (Administration, Robot Accounts). Ask an administrator to create the \
                 project."
                    .to_owned()
            }
            (Meaning::Policy, "PRECONDITION")
                if self.purpose == Purpose::Delete && self.body.says("immutable") =>
            {
                "An immutability rule of the project protects it. To delete it, change the rule \
                 (Policy, Tag Immutability, in the project)."
                    .to_owned()
            }
            (Meaning::Policy, _) if self.body.says("referenced by other") => {
                "An index in the same repository lists this manifest. Delete the index first."
                    .to_owned()
            }
            (Meaning::Policy, "PRECONDITION") if self.body.says("immutable") => format!(
                "An immutability rule of project `{project}` protects this tag. Push under another tag, \
                 or change the rule (Policy, Tag Immutability, in the project)."
            ),
            (Meaning::Policy, "PROJECTPOLICYVIOLATION") => format!(
                "A policy of project `{project}` does not allow pulling this image (because of its \
                 vulnerabilities, or a missing signature). Check the Configuration of the project in \
                 Harbor, or choose another version."
            ),
            (Meaning::NotFound, _) if self.body.says("in gc") => {
                "The garbage collection of Harbor has marked this content. Run the command again later, \
                 in two hours at the latest."
                    .to_owned()
            }
            (Meaning::NotFound, "NOT_FOUND") if self.request.is_read() => {
                format!("Check the name and the tag: project `{project}` does not have this image.")
            }
            (Meaning::NotFound, _) if !self.request.is_read() && !project.is_empty() => {
                "Harbor no longer finds a part of the image that was there a moment ago. Check whether \
                 its replicas share one storage and one Redis."
                    .to_owned()
            }
            (Meaning::BadRequest, "MANIFEST_BLOB_UNKNOWN") => format!(
                "The storage of Harbor has lost parts of the image that its database still lists, as \
                 after a garbage collection. If this persists, delete `{repository}` in Harbor and push \
                 again."
            ),
            (Meaning::BadRequest, "MANIFEST_INVALID") => {
                "Harbor does not accept this kind of manifest, such as a build cache of BuildKit. Leave \
                 the image out of the list."
                    .to_owned()
            }
            (Meaning::BadRequest, "UNSUPPORTED") => {
                "Harbor does not offer this, such as deleting a tag. Use its web pages.".to_owned()
            }
            (Meaning::RateLimit, _) => format!(
                "`{host}`, or the registry behind its proxy cache `{project}`, limits the number of \
                 requests. Wait, and run the command again."
            ),
            // The words are those of its registry; core's own are "internal server error".
            (meaning, "UNKNOWN") if meaning.is_failing() && self.body.says("unknown error") => {
                "Check the log of Harbor's `registry` service for the reason. Most often its disk is full."
                    .to_owned()
            }
            (meaning, "UNKNOWN") if meaning.is_failing() => {
                "Check the log of Harbor's `core` service for the reason, under the id of the request."
                    .to_owned()
            }
            _ => return None,
        })
    }

    fn harbor_unauthorized(&self, harbor: &HarborRefusal, project: &str) -> Option<String> {
        let host = self.request.host();
        if harbor.cause == Cause::DatabaseDown {
            return Some(database_down(host));
        }
        let LoginState::As(user) = &self.login else {
            return None;
        };
        match harbor.cause {
            Cause::Unknown | Cause::DatabaseDown => None,
            Cause::ProjectMissing
                if harbor.access == Access::Read || self.purpose == Purpose::Delete =>
            {
                Some(format!(
                    "Project `{project}` does not exist on `{host}`. Check the name."
                ))
            }
            Cause::ProjectMissing => Some(format!(
                "Project `{project}` does not exist on `{host}`. Create it with `--create-projects`, or \
                 push into another one with `--project`."
            )),
            Cause::RightMissing if harbor.access == Access::Read => Some(format!(
                "Project `{project}` exists, but `{user}` may not pull from it. Give `{user}` the role \
                 Guest or, if it is a robot, the permission to pull repositories."
            )),
            Cause::RightMissing if self.purpose == Purpose::Delete => Some(format!(
                "Project `{project}` exists, but `{user}` may not delete in it. Give `{user}` the role \
                 Maintainer or, if it is a robot, the permission to delete artifacts and tags."
            )),
            Cause::RightMissing => Some(format!(
                "Project `{project}` exists, but `{user}` may not do this in it. Give `{user}` the role \
                 Developer or, if it is a robot, the permission to push and pull repositories."
            )),
            Cause::LoginRefused => Some(login_refused(host, user)),
        }
    }
}

/// Advice for while Harbor's database is down.
pub(crate) fn database_down(host: &str) -> String {
    format!(
        "`{host}` answers like this while its database is down. Check the logs of its `core` service \
         and its database."
    )
}

/// Advice about a login that Harbor does not accept.
pub(crate) fn login_refused(host: &str, user: &str) -> String {
    let quoting = if is_cut_short(user) { QUOTE_ROBOT } else { "" };
    format!(
        "Check the user name `{user}` and its password for `{host}`. The secret of a robot is shown \
         only once and may have expired, and users that log in by OIDC require their CLI secret. \
         Harbor also answers like this while its database is down.{quoting}"
    )
}

/// Advice about a name that a shell has cut.
pub(super) const QUOTE_ROBOT: &str = " In a shell, put the name of a robot in single quotes \
                                      ('robot$name'): otherwise the shell removes `$name`.";

/// Whether a name may be what a shell left of a robot's.
pub(super) fn is_cut_short(username: &str) -> bool {
    username.starts_with("robot") && !username.contains('$')
}
