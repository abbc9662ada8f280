//! The files that a bundle is written to: existing ones, and those that were written.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::OpsError;
use hod_bundle::{PlannedFile, WriteOutcome};
use hod_fsx::{Durability, OutputFile};
use hod_oci::{Algorithm, Digest};

/// Whether outputs that exist may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    Refuse,
    Replace,
}

/// Whether the files are hashed after writing.
///
/// Their content consists of blobs that were verified earlier, often copied without reading, so
/// hashing the files takes longer than writing them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    None,
    /// Hashed, and written to `NAME.sha256` beside them.
    Beside,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrittenFile {
    pub path: PathBuf,
    pub bytes: u64,
    /// In hex, if checksums were requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Refuses when a file is to be written that exists. Devices and pipes are written to, not
/// replaced.
pub(super) fn require_absent(
    existing: Existing,
    output: &Path,
    checksums: Checksums,
    files: &[PlannedFile],
) -> Result<(), OpsError> {
    if existing == Existing::Replace || hod_fsx::is_stream(output)? {
        return Ok(());
    }
    let list = (checksums == Checksums::Beside).then(|| checksum_path(output));
    let mut paths = Vec::new();
    for path in files.iter().map(|file| &file.path).chain(&list) {
        if hod_fsx::try_stat(path)?.is_some_and(|stat| stat.is_file) {
            paths.push(path.clone());
        }
    }
    if paths.is_empty() {
        return Ok(());
    }
    Err(OpsError::OutputsExist { paths })
}

/// Describes the files that were written, with their checksums if these are asked for.
pub(super) async fn describe(
    written: &WriteOutcome,
    output: &Path,
    checksums: Checksums,
    jobs: usize,
    durability: Durability,
) -> Result<Vec<WrittenFile>, OpsError> {
    let path = output.to_owned();
    if hod_bridge::run(move || hod_fsx::is_stream(&path)).await? {
        return Ok(Vec::new());
    }
    let mut files: Vec<WrittenFile> = written
        .files
        .iter()
        .map(|(path, bytes)| WrittenFile {
            path: path.clone(),
            bytes: *bytes,
            sha256: None,
        })
        .collect();
    if checksums == Checksums::None {
        return Ok(files);
    }
    let paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let digests: Vec<Digest> = futures_util::stream::iter(paths)
        .map(|path| hod_bridge::run(move || hash(&path)))
        .buffered(jobs.max(1))
        .try_collect()
        .await?;
    let mut list = Vec::new();
    for (file, digest) in files.iter_mut().zip(digests) {
        let name = file.path.file_name().unwrap_or_default();
        list.extend(checksum_line(digest.hex(), name));
        file.sha256 = Some(digest.hex().to_owned());
    }
    let path = checksum_path(output);
    let write = move || {
        let mut file = OutputFile::create(&path)?;
        let written = file.write_all(&list);
        written.map_err(|source| hod_fsx::Error::new("write", &path, source))?;
        file.commit_with(durability)
    };
    hod_bridge::run(write).await?;
    Ok(files)
}

/// `NAME.sha256` beside the bundle `NAME.tar`, its volumes `NAME.001.tar`, or `NAME.tar.zst`.
pub fn checksum_path(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let stem = name
        .strip_suffix(".tar.zst")
        .or_else(|| name.strip_suffix(".tar"));
    output.with_file_name(format!("{}.sha256", stem.unwrap_or(&name)))
}

fn hash(path: &Path) -> Result<Digest, hod_fsx::Error> {
    let file = hod_fsx::open(path)?;
    Ok(hod_fsx::digest_of(&file, path, Algorithm::Sha256, &|_| ())?.0)
}

/// A line as `sha256sum` prints it, which marks names that it has to escape.
fn checksum_line(hex: &str, name: &OsStr) -> Vec<u8> {
    let mut escaped = Vec::new();
    for &byte in name.as_bytes() {
        match byte {
            b'\\' => escaped.extend(b"\\\\"),
            b'\n' => escaped.extend(b"\\n"),
            b'\r' => escaped.extend(b"\\r"),
            _ => escaped.push(byte),
        }
    }
    let mark: &[u8] = if escaped == name.as_bytes() {
        b""
    } else {
        b"\\"
    };
    [mark, hex.as_bytes(), b"  ", &escaped, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_sha256sum() {
        let line = |name: &str| {
            let line = checksum_line("ab12", OsStr::new(name));
            String::from_utf8(line).unwrap()
        };
        assert_eq!(line("site 1.tar"), "ab12  site 1.tar\n");
        assert_eq!(line("a\nb\\.tar"), "\\ab12  a\\nb\\\\.tar\n");
    }

    #[test]
    fn the_list_is_named_after_the_bundle() {
        for (output, expect) in [
            ("d/site.tar", "d/site.sha256"),
            ("site-1.2.tar.zst", "site-1.2.sha256"),
            ("site", "site.sha256"),
        ] {
            assert_eq!(checksum_path(Path::new(output)), Path::new(expect));
        }
    }
}
