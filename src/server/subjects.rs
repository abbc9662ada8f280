//! Remembers which manifests refer to which.

use std::collections::HashMap;
use std::sync::Mutex;

use super::content::Content;
use super::error::ApiError;
use hod_oci::{Digest, RepositoryName};

/// Maximum number of manifests remembered; some 200 bytes each.
const KNOWN_MAX: usize = 100_000;

/// The subject of each manifest that was looked at: a manifest never changes, so that it is read
/// once and not for every request.
#[derive(Debug, Default)]
pub(super) struct Subjects(Mutex<HashMap<Digest, Option<Digest>>>);

impl Subjects {
    /// The manifests of a repository whose subject this is.
    pub(super) fn about(
        &self,
        content: &Content,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<Digest>, ApiError> {
        let mut about = Vec::new();
        for digest in content.revisions(repository)? {
            let known = self.known().get(&digest).cloned();
            let found = if let Some(found) = known {
                found
            } else {
                let found = content.subject_of(&digest)?;
                let mut known = self.known();
                if known.len() >= KNOWN_MAX {
                    known.clear();
                }
                known.insert(digest.clone(), found.clone());
                found
            };
            if found.as_ref() == Some(subject) {
                about.push(digest);
            }
        }
        Ok(about)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Option<Digest>>> {
        self.0.lock().expect("no panic while looking up")
    }
}
