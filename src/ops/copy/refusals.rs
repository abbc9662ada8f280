//! Collects the findings at all targets before anything is changed.

use super::CopyTarget;
use crate::{Check, Finding, NotReady, OpsError, TargetName, TargetsNotReady};
use hod_report::{Diagnose as _, chain};

/// The targets of a copy, and why some of them are refused.
#[derive(Debug)]
pub(super) struct Refusals<'a> {
    targets: &'a [Box<dyn CopyTarget>],
    /// For each target.
    found: Vec<Option<OpsError>>,
}

impl<'a> Refusals<'a> {
    pub(super) fn new(targets: &'a [Box<dyn CopyTarget>]) -> Self {
        let found = targets.iter().map(|_| None).collect();
        Self { targets, found }
    }

    /// Keeps why the target at this place is refused. An error that is not the target's (of the
    /// source or the command line) ends the copy.
    pub(super) fn note<T>(
        &mut self,
        at: usize,
        looked: Result<T, OpsError>,
    ) -> Result<Option<T>, OpsError> {
        match looked {
            Ok(looked) => Ok(Some(looked)),
            Err(error) if error.diagnose().is_refusal() => {
                self.found[at].get_or_insert(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The places of the targets at which nothing was found.
    pub(super) fn accepted(&self) -> Vec<usize> {
        let all = 0..self.found.len();
        all.filter(|at| self.found[*at].is_none()).collect()
    }

    /// Takes the reason why a target is refused.
    pub(super) fn take(&mut self, at: usize) -> Option<OpsError> {
        self.found[at].take()
    }

    /// Fails if no target is left to look at.
    pub(super) fn leave_one(&mut self) -> Result<(), OpsError> {
        if self.accepted().is_empty() {
            self.end()
        } else {
            Ok(())
        }
    }

    /// Fails with all that was found, if anything was.
    pub(super) fn end(&mut self) -> Result<(), OpsError> {
        let names = self.targets.iter().map(|target| target.name());
        let found = names.zip(self.found.iter_mut().map(Option::take));
        let found = found.filter_map(|(name, error)| Some((name, error?)));
        let mut refused: Vec<_> = found.collect();
        match (refused.pop(), refused.is_empty()) {
            (None, _) => Ok(()),
            (Some((_, error)), true) => Err(error),
            (Some(last), false) => {
                refused.push(last);
                let targets = refused
                    .into_iter()
                    .map(|(name, error)| not_ready(name, error));
                Err(TargetsNotReady {
                    targets: targets.collect(),
                }
                .into())
            }
        }
    }
}

/// The findings at a target, from the error that refuses it.
fn not_ready(target: TargetName, error: OpsError) -> NotReady {
    match error {
        OpsError::NotReady(not_ready) => *not_ready,
        error => NotReady {
            findings: vec![
                Finding::new(Check::Target, target.to_string(), chain(&error))
                    .meaning(error.diagnose()),
            ],
            target,
        },
    }
}
