//! `skopeo manifest-digest`

use std::path::Path;

use hod_oci::{Digest, MANIFEST_LEN_MAX};

use crate::failure::{Done, Failure};
use crate::screen::Screen;
use crate::wording;

/// Prints the digest of a manifest in a file, or a pipe.
pub(crate) async fn run(path: &str) -> Done {
    let (path, shown) = (path.to_owned(), path.to_owned());
    let bytes =
        hod_bridge::run(move || hod_fsx::read_input(Path::new(&path), MANIFEST_LEN_MAX)).await;
    let bytes = bytes.map_err(|error| {
        wording::of_file(&error).during(format!("Error reading manifest from {shown}"))
    })?;
    let digest = digest_of(&bytes).map_err(|error| error.during("Error computing digest"))?;
    Screen::result(format!("{digest}\n").as_bytes())
}

/// The digest of a manifest: of a signed one of schema 1, that of what was signed.
pub(crate) fn digest_of(manifest: &[u8]) -> Done<Digest> {
    let payload = hod_oci::signed_payload(manifest);
    let payload = payload.map_err(|error| Failure::new(error.to_string()))?;
    Ok(Digest::of(payload.as_deref().unwrap_or(manifest)))
}
