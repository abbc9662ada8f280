//! Deciding whether an image is accepted.

use std::time::SystemTime;

use super::image::ImageUnderTest;
use super::rejected::Rejected;
use super::requirement::Requirement;
use crate::signature::Signature;

/// The requirements that apply to an image; all must be true.
#[derive(Debug, Clone, Copy)]
pub struct Requirements<'p>(&'p [Requirement]);

/// How a decision is made.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// What keys and signatures may not be older than.
    pub now: SystemTime,
    /// Whether requirements that verify no signature are not enough.
    pub must_verify: bool,
}

impl<'p> Requirements<'p> {
    pub(super) fn new(requirements: &'p [Requirement]) -> Self {
        Self(requirements)
    }

    #[cfg(test)]
    pub(super) fn all(self) -> &'p [Requirement] {
        self.0
    }

    /// Whether signatures are read to decide. Otherwise they need not be fetched.
    pub fn needs_signatures(self) -> bool {
        let decisive = self.0.iter();
        let mut decisive =
            decisive.take_while(|requirement| !matches!(requirement, Requirement::Reject));
        decisive.any(Requirement::reads_signatures)
    }

    /// Whether signatures of sigstore are among those that are read.
    pub fn needs_sigstore(self) -> bool {
        let is_sigstore = |one: &Requirement| matches!(one, Requirement::SigstoreSigned(_));
        self.0.iter().any(is_sigstore)
    }

    /// Decides whether the image is accepted. Blocks while keys are read.
    ///
    /// An error means that it must not be used.
    pub fn evaluate(
        self,
        image: &ImageUnderTest<'_>,
        signatures: &[Signature],
        evaluation: Evaluation,
    ) -> Result<(), Rejected> {
        if !image.manifest_digest.matches(image.manifest) {
            let digest = image.manifest_digest.clone();
            return Err(Rejected::Manifest { digest });
        }
        // A policy cannot be parsed without requirements; nothing would be required otherwise.
        let mut is_accepted = false;
        let mut is_verified = false;
        for requirement in self.0 {
            match requirement {
                Requirement::InsecureAcceptAnything => {}
                Requirement::Reject => {
                    let image = image.name.to_owned();
                    return Err(Rejected::ByPolicy { image });
                }
                Requirement::SignedBaseLayer => return Err(Rejected::BaseLayer),
                Requirement::SignedBy(signed_by) => {
                    signed_by.evaluate(image, signatures, evaluation.now)?;
                    is_verified = true;
                }
                Requirement::SigstoreSigned(sigstore) => {
                    sigstore.evaluate(image, signatures)?;
                    is_verified = true;
                }
            }
            is_accepted = true;
        }
        if !is_accepted || (evaluation.must_verify && !is_verified) {
            let image = image.scope.log_name();
            return Err(Rejected::NotVerified { image });
        }
        Ok(())
    }
}
