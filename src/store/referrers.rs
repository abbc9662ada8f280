//! Referrers: which manifests of a repository are about others.

use hod_oci::{Digest, MANIFEST_LEN_MAX, Manifest, RepositoryName};

use super::{Store, StoreError};

/// A substring of every manifest that has a subject, unless it is escaped.
const FIELD: &[u8] = b"subject";

impl Store {
    /// Lists the manifests of a repository that have a subject, each with that subject; sorted.
    ///
    /// Reads every manifest of the repository and verifies none: one that cannot be parsed has no
    /// subject. Callers that use one must read it again.
    pub fn subjects(
        &self,
        repository: &RepositoryName,
    ) -> Result<Vec<(Digest, Digest)>, StoreError> {
        let mut subjects = Vec::new();
        for digest in self.revisions(repository)? {
            if let Some(subject) = self.subject_of(&digest)? {
                subjects.push((digest, subject));
            }
        }
        Ok(subjects)
    }

    /// Reads the subject of a manifest; `None` when it has none, or is not found.
    pub fn subject_of(&self, digest: &Digest) -> Result<Option<Digest>, StoreError> {
        let path = self.blob_path(digest);
        if hod_fsx::try_stat(&path)?.is_none_or(|stat| stat.len > MANIFEST_LEN_MAX) {
            return Ok(None);
        }
        let bytes = hod_fsx::try_read(&path, MANIFEST_LEN_MAX)?.unwrap_or_default();
        // Most manifests have none, and are not worth parsing. An escape may hide the word.
        let may_have =
            bytes.windows(FIELD.len()).any(|word| word == FIELD) || bytes.contains(&b'\\');
        if !may_have {
            return Ok(None);
        }
        let manifest = Manifest::parse_as(bytes.into(), digest.clone(), None).ok();
        let subject = manifest.as_ref().and_then(Manifest::subject);
        Ok(subject.map(|subject| subject.digest.clone()))
    }
}
