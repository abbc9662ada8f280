//! Which images may be pulled (facts.md 5), of which HEAD is told too, and what a proxy cache has.

use axum::response::Response;

use super::{ProjectState, PullPolicy, answer as plain, error};
use crate::faults::manifest_path;
use crate::registry::Seen;

/// The answer to a GET or HEAD of a manifest that its project's rules give before the backend does.
pub(super) fn answer(
    project: &ProjectState,
    seen: &Seen,
    (repository, reference): (&str, &str),
) -> Option<Response> {
    if !matches!(seen.method.as_str(), "GET" | "HEAD") || !manifest_path(&seen.path) {
        return None;
    }
    if project.is_proxy && seen.method == "HEAD" {
        let (_, name) = repository.split_once('/')?;
        let upstream = project.upstream.get(&format!("{name}:{reference}"))?;
        let mut response = plain(200, "");
        let headers = response.headers_mut();
        let digest = upstream.digest.as_str();
        headers.insert("docker-content-digest", digest.parse().unwrap());
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        headers.insert("content-type", media_type.parse().unwrap());
        headers.insert("content-length", upstream.size.into());
        return Some(response);
    }
    let message = match project.pull_policy {
        PullPolicy::Everything => return None,
        PullPolicy::Signed => "The image is not signed by cosign.",
        PullPolicy::Scanned => {
            "current image without vulnerability scanning cannot be pulled due to configured \
             policy in 'Prevent images with vulnerability severity of \"Low\" or higher from \
             running.' To continue with pull, please contact your project administrator for help."
        }
    };
    let tag = (repository.to_owned(), reference.to_owned());
    let digest = project.tags.get(&tag).cloned();
    let digest = digest.unwrap_or_else(|| reference.to_owned());
    let artifact = (repository.to_owned(), digest.clone());
    if !project.artifacts.contains(&artifact) {
        return Some(error(
            404,
            "NOT_FOUND",
            &format!("artifact {repository}:{reference} not found"),
        ));
    }
    let signature = |digest: &str| {
        let tag = format!("{}.sig", digest.replace(':', "-"));
        project.tags.get(&(repository.to_owned(), tag))
    };
    let mut artifacts = project.artifacts.iter();
    let is_signature =
        artifacts.any(|(own, subject)| own == repository && signature(subject) == Some(&digest));
    let is_signed = signature(&digest).is_some();
    if is_signature || (project.pull_policy == PullPolicy::Signed && is_signed) {
        return None;
    }
    Some(error(412, "PROJECTPOLICYVIOLATION", message))
}
