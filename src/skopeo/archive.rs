//! Archives as plain files: what is compressed, or comes from a pipe, is unpacked into a temporary
//! file first, since archives are read in any order.

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use hod_tarball::{Compression, decoder};
use tempfile::NamedTempFile;

use crate::failure::{Done, Failure};
use crate::wording;

/// Where temporary files are, unless the user says otherwise: `/tmp` is often small.
const TMPDIR: &str = "/var/tmp";
/// How much is unpacked at once.
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
    let file = hod_fsx::open(path).map_err(|error| wording::of_file(&error))?;
    let stat = hod_fsx::stat(path).map_err(|error| wording::of_file(&error))?;
    if stat.is_file {
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
    let failed = |error: &io::Error| {
        let problem = wording::go_problem(error);
        Failure::new(format!("copying {}: {problem}", path.display()))
    };
    let dir = tmpdir.unwrap_or(Path::new(TMPDIR));
    let copy = tempfile::Builder::new().prefix("hod-").tempfile_in(dir);
    let mut copy = copy.map_err(|error| {
        let problem = wording::go_problem(&error);
        Failure::new(format!(
            "creating temporary file in {}: {problem}",
            dir.display()
        ))
    })?;
    let (_, mut content) = decoder(input).map_err(|error| failed(&error))?;
    let mut buffer = vec![0; CHUNK_LEN];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => copy.write_all(&buffer[..n]).map_err(|e| failed(&e))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(Spooled::Copy(copy))
}
