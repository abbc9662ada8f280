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
    let digest = Digest::of(
        &crate::schema1::payload(&bytes)
            .map_err(|error| Failure::new(format!("Error computing digest: {error}")))?,
    );
    Screen::result(format!("{digest}\n").as_bytes())
}
