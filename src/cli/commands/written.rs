//! Prints the files of a bundle that was written.

use std::path::Path;

use super::session::Session;
use crate::cli::ui::{OutputError, format_count, format_len};
use hod_bundle::KeyId;
use hod_oci::Digest;
use hod_ops::WrittenFile;

/// Prints a line for each file, like `sha256sum` if it was hashed; then the bundle ID, which is not
/// the checksum of a file, and the key that signed it.
pub(super) fn print(
    session: &Session<'_>,
    files: &[WrittenFile],
    id: &Digest,
    signed_by: Option<KeyId>,
) -> Result<(), OutputError> {
    let mut stdout = session.printer.stdout();
    for WrittenFile {
        path,
        bytes,
        sha256,
    } in files
    {
        let path = Path::display(path);
        match sha256 {
            Some(hex) => stdout.line(format_args!("{hex}  {path}")),
            None => stdout.line(format_args!("{path} {bytes} bytes")),
        }
    }
    stdout.line(format_args!("bundle id {id}"));
    if let Some(key) = signed_by {
        stdout.line(format_args!("signed by key {key}"));
    }
    stdout.finish()
}

/// Describes the content that a delta does not carry.
pub(super) fn left_out(base_blobs: usize, base_bytes: u64) -> String {
    if base_blobs == 0 {
        return String::new();
    }
    let (n, len) = (format_count(base_blobs, "blob"), format_len(base_bytes));
    format!("; {n} ({len}) left out: the target must have them")
}
