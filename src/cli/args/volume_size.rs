//! Parses the size of a volume.

use super::size;

/// The block size of a tar; a volume consists of whole blocks.
const BLOCK_LEN: u64 = 512;
/// The largest file on FAT32 is one byte shorter than 4 GiB.
const FAT32_LEN: u64 = (4 << 30) - 1;

/// Media by name, in bytes of data; those that are burnt leave room for a file system.
const MEDIA: [(&str, u64); 6] = [
    ("fat32", FAT32_LEN),
    ("cd", 700_000_000),
    ("dvd", 4_690_000_000),
    ("dvd-dl", 8_530_000_000),
    ("bd", 25_000_000_000),
    ("bd-dl", 50_000_000_000),
];

/// Parses `4G`, `25GB` or `fat32`; the result is rounded down to whole blocks.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let medium = MEDIA.iter().find(|(name, _)| *name == lower);
    let len = match medium {
        Some((_, len)) => *len,
        None => size::parse(text).ok_or_else(|| {
            let media: Vec<&str> = MEDIA.iter().map(|(name, _)| *name).collect();
            format!(
                "expected a size such as `4G` or `25GB`, or one of {}",
                media.join(", ")
            )
        })?,
    };
    match len - len % BLOCK_LEN {
        0 => Err(format!("a volume is at least {BLOCK_LEN} bytes")),
        len => Ok(len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_split_and_of_vendors() {
        #[track_caller]
        fn check(text: &str, expect: u64) {
            assert_eq!(parse(text), Ok(expect), "{text}");
        }
        check("512", 512);
        check("1000", 512);
        check("1M", 1_048_576);
        check("4G", 4_294_967_296);
        check("4gib", 4_294_967_296);
        check("25GB", 25_000_000_000);
        check("fat32", 4_294_966_784);
        check("DVD", 4_690_000_000 - 4_690_000_000 % 512);
        check("1TB", 1_000_000_000_000);
    }

    #[test]
    fn what_is_no_size_is_refused() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
        for text in ["", "4X", "floppy", "99999999999T"] {
            check(text, "expected a size");
        }
        check("0", "at least 512 bytes");
        check("511", "at least 512 bytes");
    }
}
