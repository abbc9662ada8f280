//! Harbor's refusals: its codes are not those of the specification, and its words say
//! what is wrong, but not what to do.

use super::is_cut_short;
use crate::error::body::ErrorBody;
use crate::error::harbor::{Access, Cause, HarborRefusal};
use crate::error::refusal_context::LoginState;
use crate::error::safe_url::RequestLine;

/// Advice about a refusal by Harbor; `None` where there is nothing specific to say.
pub(crate) fn harbor_hint(
    request: &RequestLine,
    (status, body): (u16, &ErrorBody),
    login: &LoginState,
) -> Option<String> {
    let host = request.host();
    let repository = request.repository().unwrap_or_default();
    let project = repository.split('/').next().unwrap_or_default();
    let message = body.message.as_deref().unwrap_or_default();
    let says = |text: &str| message.to_ascii_lowercase().contains(text);
    // Harbor says this before it asks for a login, and so before it is known to be one.
    if status == 400 && says("invalid repository name") {
        return Some(if request.is_read() {
            format!(
                "at a Harbor every image is in a project, and `{repository}` names none: write it \
                 as `PROJECT/{repository}`"
            )
        } else {
            format!(
                "at a Harbor every image is in a project, and `{repository}` names none: pass \
                 `--project NAME`"
            )
        });
    }
    let harbor = body.harbor()?;
    let code = body.code.as_deref().unwrap_or_default();
    Some(match (status, code) {
        (401, _) => return unauthorized((host, project), harbor, login),
        (403, _) if says("csrf token") => format!(
            "`{host}` takes this for a browser's session: something on the way adds a `sid` \
             cookie, which hod never sends; have the proxy in front no longer do that"
        ),
        (403, _) if says("system admin can create") => {
            "at this Harbor only administrators create projects, and robots with the system \
             permission to (Administration, Robot Accounts): ask an administrator to create the \
             project"
                .to_owned()
        }
        (403, _) if says("upper limit") => format!(
            "the storage quota of project `{project}` is used up: raise it in Harbor \
             (Administration, Project Quotas) or delete what the project no longer needs"
        ),
        (403, _) if says("proxy project") => format!(
            "`{project}` is a proxy cache, into which nothing can be pushed: push into another \
             project with `--project`"
        ),
        (403, _) if says("read only") => format!(
            "`{host}` is in read-only mode, as during maintenance: an administrator ends it \
             (Configuration, System Settings)"
        ),
        (412, "PRECONDITION") if says("immutable") => format!(
            "an immutability rule of project `{project}` keeps this tag as it is: push under \
             another tag, or change the rule (the project's Policy, Tag Immutability)"
        ),
        (412, "PROJECTPOLICYVIOLATION") => format!(
            "a policy of project `{project}` lets nobody pull this image (its vulnerabilities, or \
             a missing signature): see the project's Configuration in Harbor, or carry another \
             version"
        ),
        (404, _) if says("in gc") => {
            "Harbor's garbage collection has marked what is to be written: run the command again \
             later, in two hours at the latest"
                .to_owned()
        }
        (404, "NOT_FOUND") if request.is_read() => {
            format!("check the name and the tag: project `{project}` has no such image")
        }
        (404, _) if !request.is_read() && !project.is_empty() => {
            "Harbor misses a part of the image that was there a moment ago: see whether its \
             replicas share one storage and one Redis"
                .to_owned()
        }
        (400, "MANIFEST_BLOB_UNKNOWN") => format!(
            "Harbor's storage has lost parts of the image that Harbor takes for present, as after \
             a garbage collection: if it stays so, delete `{repository}` in Harbor and push again"
        ),
        (400, "MANIFEST_INVALID") => {
            "Harbor does not take this kind of manifest, such as a build cache of BuildKit: leave \
             the image out of the list"
                .to_owned()
        }
        (400, "UNSUPPORTED") => {
            "Harbor does not offer this, such as deleting a tag: do it on its web pages".to_owned()
        }
        (429, _) => format!(
            "`{host}`, or the registry behind its proxy cache `{project}`, limits how much may be \
             asked: wait, and run the command again"
        ),
        // The words are those of its registry; core's own are "internal server error".
        (500.., "UNKNOWN") if says("unknown error") => {
            "Harbor says why only in the log of its `registry` service; most often its disk is full"
                .to_owned()
        }
        (500.., "UNKNOWN") => {
            "Harbor says why only in the log of its `core` service, under the id of the request"
                .to_owned()
        }
        _ => return None,
    })
}

fn unauthorized(
    (host, project): (&str, &str),
    harbor: &HarborRefusal,
    login: &LoginState,
) -> Option<String> {
    if harbor.cause == Cause::DatabaseDown {
        return Some(database_down(host));
    }
    let LoginState::As(user) = login else {
        return None;
    };
    match harbor.cause {
        Cause::Unknown | Cause::DatabaseDown => None,
        Cause::ProjectMissing if harbor.access == Access::Read => Some(format!(
            "project `{project}` does not exist on `{host}`: check the name"
        )),
        Cause::ProjectMissing => Some(format!(
            "project `{project}` does not exist on `{host}`: create it with `--create-projects`, \
             or push into another with `--project`"
        )),
        Cause::RightMissing if harbor.access == Access::Read => Some(format!(
            "project `{project}` exists, and `{user}` has no right to pull from it: give it the \
             role Guest or, to a robot, the permission to pull repositories"
        )),
        Cause::RightMissing => Some(format!(
            "project `{project}` exists, and `{user}` has no right to do this in it: give it the \
             role Developer or, to a robot, the permission to push and pull repositories"
        )),
        Cause::LoginRefused => Some(login_refused(host, user)),
    }
}

/// Advice for while Harbor's database is down.
pub(crate) fn database_down(host: &str) -> String {
    format!(
        "`{host}` answers like this while its database is down: see the logs of its `core` and its \
         database"
    )
}

/// Advice about a login that Harbor does not accept.
pub(crate) fn login_refused(host: &str, user: &str) -> String {
    let quoting = if is_cut_short(user) {
        "; in a shell, quote a robot's name with single quotes ('robot$name'), since `$name` would \
         be replaced by nothing"
    } else {
        ""
    };
    format!(
        "check user and password of `{user}` for `{host}`: a robot's secret is shown only once and \
         may have expired, and users that log in by OIDC need their CLI secret; Harbor also answers \
         like this while its database is down{quoting}"
    )
}
