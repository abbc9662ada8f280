//! Indexes that list manifests which are not carried: a Harbor refuses them, as most registries do.

use super::{Check, Finding, PreflightCheck};
use crate::platforms::{self, lacking};
use hod_report::chain;
use hod_transfer::{Plan, RegistrySink, Resolved};

impl PreflightCheck<'_> {
    /// Checks that the target has the manifests that indexes of the plan lack: a finding if it
    /// certainly refuses them, otherwise a warning.
    pub(super) async fn check_indexes(&mut self, sink: &RegistrySink, plan: &Plan) {
        let mut refused = Vec::new();
        for image in plan.images.iter().filter(|image| !image.absent.is_empty()) {
            if !self.has_all(sink, image).await {
                refused.push(image);
            }
        }
        if self.harbor.is_none() {
            platforms::warn_of(self.cx, &refused, platforms::NOT_KEPT);
            return;
        }
        for image in refused {
            let there = image.platforms();
            let one = there
                .first()
                .map_or_else(|| "OS/ARCH".to_owned(), ToString::to_string);
            let problem = format!(
                "Harbor refuses an index with manifests that are not carried: {}",
                lacking(image)
            );
            self.findings.push(
                Finding::new(Check::Index, image.wanted.destination.to_string(), problem).fix(
                    format!(
                        "Push an index of the available manifests with `--index rewrite`, or one \
                         platform with `--platform {one}`. For all platforms, pull again with \
                         `--platform all`, or save the image with `docker save --platform`."
                    ),
                ),
            );
        }
    }

    /// Returns true if the target has the manifests that the index of an image lacks.
    async fn has_all(&mut self, sink: &RegistrySink, image: &Resolved) -> bool {
        let destination = &image.wanted.destination;
        if !self.may_ask(destination) {
            return false;
        }
        for child in &image.absent {
            match sink
                .has_manifest(&destination.repository, &child.digest)
                .await
            {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    self.unchecked.push(format!(
                        "whether it has all manifests of the index of {destination} ({})",
                        chain(&error)
                    ));
                    return true;
                }
            }
        }
        true
    }
}
