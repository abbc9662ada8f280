//! The state of the checks of a target before a push.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::harbor::HarborState;
use crate::batch::{Target, TargetState};
use crate::{Context, RunMode};
use hod_oci::{Digest, Manifest, Registry};
use hod_registry::{Client, ContentCheck, HeadManifest, NewProject};
use hod_transfer::Destination;

/// The content of a destination before the push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Present {
    Nothing,
    /// The same image.
    Same,
    /// The same image, but not all of its referrers.
    SameWithoutReferrers,
    /// The same image, but every part must be checked: on request, or because a foreign layer was
    /// not found.
    SameToRecheck,
    /// Another image, with its digest if the registry returns it.
    Other(Option<Digest>),
    /// Content that a policy of the registry prevents reading.
    Hidden,
}

impl Present {
    pub(crate) fn of(head: Option<&HeadManifest>, top: &Manifest) -> Self {
        match head.map(|head| head.compare(top)) {
            None | Some(ContentCheck::Absent) => Self::Nothing,
            Some(ContentCheck::Present) => Self::Same,
            Some(ContentCheck::Differs { .. } | ContentCheck::Unknown) => {
                let digest = head.and_then(|head| head.digest.clone());
                Self::Other(digest.filter(|digest| digest != top.digest()))
            }
        }
    }

    /// The consequence for an image that is pushed there.
    pub(crate) fn target(&self) -> (Target, Option<Digest>) {
        match self {
            Self::Nothing => (Target::New, None),
            Self::Same | Self::SameWithoutReferrers | Self::SameToRecheck => {
                (Target::Unchanged, None)
            }
            Self::Other(digest) => (Target::Replaces, digest.clone()),
            Self::Hidden => (Target::Unreadable, None),
        }
    }
}

impl From<Present> for TargetState {
    fn from(present: Present) -> Self {
        match present {
            Present::Nothing | Present::Other(_) | Present::Hidden | Present::SameToRecheck => {
                Self::New
            }
            Present::SameWithoutReferrers => Self::WithoutReferrers,
            Present::Same => Self::Unchanged,
        }
    }
}

/// The checks of a target before a push, and their findings.
pub(crate) struct PreflightCheck<'a> {
    pub(super) cx: &'a Context,
    pub(super) client: &'a Client,
    pub(super) registry: &'a Registry,
    pub(super) mode: RunMode,
    pub(super) create: Option<NewProject>,
    pub(crate) findings: Vec<Finding>,
    /// Checks that were not possible.
    pub(super) unchecked: Vec<String>,
    pub(super) harbor: Option<HarborState>,
    /// The known manifests of destinations.
    pub(super) answers: BTreeMap<Destination, Option<HeadManifest>>,
}
