//! The names of the files of a bundle: `NAME.tar`, or `NAME.001.tar` and so on.

use std::path::{Path, PathBuf};

/// The fewest digits of a volume's number.
const WIDTH_MIN: usize = 3;
pub(crate) const EXTENSION: &str = ".tar";
/// The infix between the name of a volume that was moved aside and a number.
pub(crate) const OLD_INFIX: &str = ".old-";

/// The path of a volume of the bundle that is to be written at `output`, `NAME.tar`:
/// `NAME.001.tar` and so on, or with more digits where there are more volumes than that.
pub fn volume_path(output: &Path, index: u32, count: u32) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(EXTENSION).unwrap_or(&name);
    output.with_file_name(file_name(stem, index, count))
}

/// The `n`-th path that a volume at `path` may be moved to: no name of a volume.
pub(crate) fn aside_path(path: &Path, n: u32) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(EXTENSION).unwrap_or(&name);
    path.with_file_name(format!("{stem}{OLD_INFIX}{n}{EXTENSION}"))
}

pub(crate) fn file_name(stem: &str, index: u32, count: u32) -> String {
    let width = count.to_string().len().max(WIDTH_MIN);
    format!("{stem}.{index:0width$}{EXTENSION}")
}

/// Splits the number of a volume from the name that is common to all; `None` where there is none.
pub(crate) fn stem_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?;
    let (stem, number) = name.rsplit_once('.')?;
    let is_number = number.len() >= WIDTH_MIN && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some(stem)
}
