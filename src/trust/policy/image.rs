//! The image of which a policy decides.

use hod_oci::Digest;

use super::identity::Identity;
use super::rejected::Reason;
use super::scope::PolicyScope;
use crate::docker_name::DockerName;
use crate::payload::Payload;

/// An image, or an index, of which a policy decides.
#[derive(Debug, Clone, Copy)]
pub struct ImageUnderTest<'a> {
    pub scope: &'a PolicyScope,
    /// The image as the user names it: `docker://…`.
    pub name: &'a str,
    /// The name that signatures must have been made for; none outside of registries and daemons.
    pub docker_reference: Option<&'a DockerName>,
    pub manifest: &'a [u8],
    /// The digest by which the manifest was asked for, or what it was found to have.
    pub manifest_digest: &'a Digest,
}

impl ImageUnderTest<'_> {
    /// Checks that a verified payload is of this image.
    pub(super) fn check_payload(
        &self,
        payload: Payload,
        identity: &Identity,
    ) -> Result<(), Reason> {
        if !payload.digest.matches(self.manifest) {
            let signed = payload.digest;
            return Err(Reason::Digest { signed });
        }
        let signed = payload.docker_reference;
        if !identity.accepts(self.docker_reference, &signed) {
            return Err(Reason::Identity { signed });
        }
        Ok(())
    }
}
