//! The names of the files of a bundle: `NAME.tar`, or `NAME.001.tar` and so on.

use std::path::{Path, PathBuf};

/// Minimum number of digits of a volume's number.
const WIDTH_MIN: usize = 3;
pub(crate) const EXTENSION: &str = ".tar";
/// The infix between the name of a volume that was moved aside and a number.
pub(crate) const OLD_INFIX: &str = ".old-";

/// Returns the path of a volume of the bundle `output`, `NAME.tar`: `NAME.001.tar` and so on, with
/// more digits if there are more than 999 volumes.
pub fn volume_path(output: &Path, index: u32, count: u32) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(EXTENSION).unwrap_or(&name);
    output.with_file_name(file_name(stem, index, count))
}

/// Returns the `n`-th path to which the volume at `path` may be moved aside. It is not the name of
/// a volume.
pub(crate) fn aside_path(path: &Path, n: u32) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(EXTENSION).unwrap_or(&name);
    path.with_file_name(format!("{stem}{OLD_INFIX}{n}{EXTENSION}"))
}

pub(crate) fn file_name(stem: &str, index: u32, count: u32) -> String {
    let width = count.to_string().len().max(WIDTH_MIN);
    format!("{stem}.{index:0width$}{EXTENSION}")
}

/// Returns the part of a volume's name before its number, which all volumes share; `None` for other
/// files.
pub(crate) fn stem_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?;
    let (stem, number) = name.rsplit_once('.')?;
    let is_number = number.len() >= WIDTH_MIN && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some(stem)
}
