//! Archives as plain files: what is compressed, or comes from a pipe, is unpacked into a temporary
//! file first, since archives are read in any order.

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use hod_fsx::TempDir;
use hod_tarball::{Compression, decoder};
use tempfile::NamedTempFile;

use crate::failure::{Done, Failure};
use crate::wording;

/// Where temporary files are, unless the user says otherwise: `/tmp` is often small.
const TMPDIR: &str = "/var/tmp";
/// What the names of temporary files start with.
const PREFIX: &str = "hod-";
/// How much is copied at once.
const CHUNK_LEN: usize = 256 * 1024;

/// An archive that is neither compressed nor a pipe.
#[derive(Debug)]
pub(crate) enum Spooled {
    /// The user's own file.
    Own(PathBuf),
    /// A copy, removed when this is dropped.
    Copy(NamedTempFile),
}

impl Spooled {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own(path) => path,
            Self::Copy(file) => file.path(),
        }
    }
}

/// Opens the archive at `path`, and unpacks it if need be. Blocks.
pub(crate) fn plain(path: &Path, tmpdir: Option<&Path>) -> Done<Spooled> {
    let status = hod_fsx::stat(path).map_err(|error| wording::of_file(&error))?;
    let file = hod_fsx::open_input(path).map_err(|error| wording::of_file(&error))?;
    if status.is_file {
        let mut start = [0; Compression::MAGIC_LEN];
        let read = hod_fsx::read_at(&file, path, &mut start, 0);
        let n = read.map_err(|error| wording::of_file(&error))?;
        if Compression::of(&start[..n]) == Compression::None {
            return Ok(Spooled::Own(path.to_owned()));
        }
    }
    unpacked(file, path, tmpdir)
}

/// Copies what a reader has, unpacked, into a temporary file. Blocks.
pub(crate) fn unpacked(
    input: impl Read + Send,
    path: &Path,
    tmpdir: Option<&Path>,
) -> Done<Spooled> {
    let decoded = decoder(input).map_err(|error| of_copy(path, &error));
    let (_, content) = decoded?;
    as_it_is(content, path, tmpdir)
}

/// Copies what a reader has into a temporary file; `path` is for messages. Blocks.
pub(crate) fn as_it_is(
    mut content: impl Read,
    path: &Path,
    tmpdir: Option<&Path>,
) -> Done<Spooled> {
    let dir = tmpdir.unwrap_or(Path::new(TMPDIR));
    let copy = tempfile::Builder::new().prefix(PREFIX).tempfile_in(dir);
    let mut copy = copy.map_err(|error| {
        let problem = wording::go_problem(&error);
        Failure::new(format!(
            "creating temporary file in {}: {problem}",
            dir.display()
        ))
    })?;
    let mut buffer = vec![0; CHUNK_LEN];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => copy
                .write_all(&buffer[..n])
                .map_err(|error| of_copy(path, &error))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(of_copy(path, &error)),
        }
    }
    Ok(Spooled::Copy(copy))
}

/// A temporary directory. Blocks.
pub(crate) fn scratch(tmpdir: Option<&Path>) -> Done<TempDir> {
    let dir = tmpdir.unwrap_or(Path::new(TMPDIR));
    let created = TempDir::create_in(dir, PREFIX);
    created.map_err(|error| wording::of_file(&error).during("creating temporary directory"))
}

fn of_copy(path: &Path, error: &io::Error) -> Failure {
    let problem = wording::go_problem(error);
    Failure::new(format!("copying {}: {problem}", path.display()))
}
