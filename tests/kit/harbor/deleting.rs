//! Deletes artifacts and tags (facts.md 10).

use axum::response::Response;

use super::core::{Checked, refuse};
use super::{ProjectState, answer as plain, error};

/// Refuses to delete what is unknown, immutable or listed by an index; and tags, on `/v2/`.
pub(super) fn check(project: &ProjectState, repository: &str, reference: &str) -> Checked<()> {
    if !reference.contains(':') {
        return refuse(400, "UNSUPPORTED", "the operation is unsupported");
    }
    let key = (repository.to_owned(), reference.to_owned());
    if !project.artifacts.contains(&key) {
        let message = format!("artifact {repository}@{reference} not found");
        return refuse(404, "NOT_FOUND", &message);
    }
    let mut tags = tags_of(project, repository, reference);
    if let Some(tag) = tags.find(|tag| project.has_immutable(tag)) {
        let message = format!("the tag {tag} is configured as immutable, cannot be deleted");
        return refuse(412, "PRECONDITION", &message);
    }
    let mut parents = project.children.iter();
    let is_listed = parents.any(|((of, parent), children)| {
        let is_there = project.artifacts.contains(&(of.clone(), parent.clone()));
        of == repository && is_there && children.iter().any(|child| child == reference)
    });
    if is_listed {
        let message = "the deleting artifact is referenced by others";
        return refuse(412, "PRECONDITION", message);
    }
    Ok(())
}

/// Removes an artifact from the database, with its tags.
pub(super) fn forget(project: &mut ProjectState, repository: &str, digest: &str) {
    let is_it = |(of, _): &(String, String), named: &String| of == repository && named == digest;
    project.tags.retain(|key, named| !is_it(key, named));
    let key = (repository.to_owned(), digest.to_owned());
    project.artifacts.remove(&key);
}

/// The tags of an artifact.
pub(super) fn tags_of<'a>(
    project: &'a ProjectState,
    repository: &'a str,
    digest: &'a str,
) -> impl Iterator<Item = &'a str> {
    let tags = project.tags.iter();
    let tags = tags.filter(move |((of, _), named)| of == repository && named.as_str() == digest);
    tags.map(|((_, tag), _)| tag.as_str())
}

/// `DELETE …/artifacts/REFERENCE/tags/TAG`.
pub(super) fn delete_tag(project: &mut ProjectState, repository: &str, tag: &str) -> Response {
    let key = (repository.to_owned(), tag.to_owned());
    if project.has_immutable(tag) {
        let message = format!("the tag {tag} is configured as immutable, cannot be deleted");
        return error(412, "PRECONDITION", &message);
    }
    match project.tags.remove(&key) {
        Some(_) => {
            project.deleted_tags.insert(key);
            plain(200, "")
        }
        None => error(404, "NOT_FOUND", &format!("tag {tag} not found")),
    }
}
