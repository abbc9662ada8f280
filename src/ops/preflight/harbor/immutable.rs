//! Tags that must not change, and would.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;

use super::super::{Check, Finding, PreflightCheck, Present};
use super::{ASK_AT_ONCE, HarborState, project_name};
use hod_oci::{Digest, ReferrerTagKind, RepositoryName, Tag};
use hod_transfer::{Destination, Plan, RegistrySink, Resolved};

/// The kind of tag that would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Image,
    /// cosign's data about an image, such as its signatures.
    Signature,
}

/// A tag to ask about.
type Asked<'p> = (&'p RepositoryName, &'p Tag, Names);

impl PreflightCheck<'_> {
    pub(super) async fn check_immutable_tags(
        &mut self,
        state: &HarborState,
        sink: &RegistrySink,
        plan: &Plan,
        present: &[Present],
    ) {
        let mut by_project: BTreeMap<&str, Vec<(&Resolved, &Present)>> = BTreeMap::new();
        for (image, present) in plan.images.iter().zip(present) {
            if let Some(project) = project_name(&image.wanted.destination.repository) {
                let images = by_project.entry(project).or_default();
                images.push((image, present));
            }
        }
        for (name, images) in by_project {
            let Some((project, _)) = state.projects.get(name) else {
                continue;
            };
            let tags: Vec<Asked<'_>> = images
                .iter()
                .filter_map(|(image, present)| own_tag(image, present))
                .collect();
            let may_be_signed = |(image, present): &(&Resolved, &Present)| {
                **present != Present::Nothing && cosign_tags(image).next().is_some()
            };
            if tags.is_empty() && !images.iter().any(may_be_signed) {
                continue;
            }
            if let Ok(Some(false)) = state.harbor.has_immutable_rules(project).await {
                continue;
            }
            let changed = changed_signatures(sink, &images).await;
            let tags = tags.into_iter().chain(changed);
            let harbor = &state.harbor;
            let answers: Vec<_> = futures_util::stream::iter(tags)
                .map(|(repository, tag, names)| async move {
                    let answer = harbor.is_immutable((project, repository), tag).await;
                    (format!("{repository}:{tag}"), names, answer)
                })
                .buffered(ASK_AT_ONCE)
                .collect()
                .await;
            let mut is_hidden = false;
            for (tag, names, answer) in answers {
                match answer {
                    Ok(Some(true)) => self.find(immutable(tag, names)),
                    Ok(Some(false)) => {}
                    Ok(None) | Err(_) => is_hidden = true,
                }
            }
            if is_hidden {
                self.unchecked
                    .push(format!("the immutable tags of `{name}`"));
            }
        }
    }
}

/// The tag of an image, if it currently names another image.
fn own_tag<'a>(image: &'a Resolved, present: &Present) -> Option<Asked<'a>> {
    let destination = &image.wanted.destination;
    let tag = destination.tag.as_ref()?;
    matches!(present, Present::Other(_)).then_some((&destination.repository, tag, Names::Image))
}

fn cosign_tags(image: &Resolved) -> impl Iterator<Item = (&Tag, Digest)> {
    let referrers = image.referrers.iter();
    let own = referrers.filter(|referrer| referrer.kind == ReferrerTagKind::Cosign);
    own.map(|referrer| (&referrer.tag, referrer.top().digest().clone()))
}

/// The existing tags of cosign that name another manifest than the pushed one.
async fn changed_signatures<'p>(
    sink: &RegistrySink,
    images: &[(&'p Resolved, &Present)],
) -> Vec<Asked<'p>> {
    let signed = images
        .iter()
        .filter(|(_, present)| **present != Present::Nothing);
    let tags = signed.flat_map(|(image, _)| {
        let repository = &image.wanted.destination.repository;
        cosign_tags(image).map(move |(tag, digest)| (repository, tag, digest))
    });
    let found = futures_util::stream::iter(tags)
        .map(|(repository, tag, digest)| async move {
            let at = Destination {
                repository: repository.clone(),
                tag: Some(tag.clone()),
            };
            // A tag that cannot be checked does not prevent the push.
            let head = sink.current(&at, &digest).await.ok().flatten()?;
            let is_other = head.digest.as_ref() != Some(&digest);
            is_other.then_some((repository, tag, Names::Signature))
        })
        .buffered(ASK_AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    found.into_iter().flatten().collect()
}

fn immutable(tag: String, names: Names) -> Finding {
    let (problem, fix) = match names {
        Names::Image => (
            "is immutable and names another image",
            "Push under another tag (with a second column in a list for `--only`: `NAME:1 NAME:1b`), \
             or change the rule of the project (Policy, Tag Immutability).",
        ),
        Names::Signature => (
            "is immutable and names other signatures",
            "Leave out signatures with `--no-referrers`, or exclude `sha256-*` from the rule of the \
             project (Policy, Tag Immutability).",
        ),
    };
    Finding::new(Check::Immutable, tag, problem).fix(fix)
}
