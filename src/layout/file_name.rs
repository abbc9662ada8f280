//! The names of the files in a `dir:` layout, and the text of its version file.

use hod_oci::{Algorithm, Digest};

/// The top manifest.
pub(super) const MANIFEST: &str = "manifest.json";
/// The file that makes a directory a layout that may be replaced.
pub(super) const VERSION: &str = "version";
/// The content of the version file of a layout with sha256 only.
pub(super) const VERSION_1_1: &str = "Directory Transport Version: 1.1\n";
/// Its content when a file name contains the algorithm.
pub(super) const VERSION_1_2: &str = "Directory Transport Version: 1.2\n";
/// The longest version file that is read, in bytes.
pub(super) const VERSION_LEN_MAX: u64 = 256;

/// The name of a blob's file.
pub(super) fn blob(digest: &Digest) -> String {
    match digest.algorithm() {
        Algorithm::Sha256 => digest.hex().to_owned(),
        other => format!("{}-{}", other.as_str(), digest.hex()),
    }
}

/// The name of a child manifest's file.
pub(super) fn child(digest: &Digest) -> String {
    format!("{}.{MANIFEST}", blob(digest))
}

/// The names that a blob may have: programs before version 1.2 left the algorithm out.
pub(super) fn blob_names(digest: &Digest) -> impl Iterator<Item = String> {
    let bare = (digest.algorithm() != Algorithm::Sha256).then(|| digest.hex().to_owned());
    std::iter::once(blob(digest)).chain(bare)
}

/// Whether `text` is the version of a layout that can be read: 1.0 to 1.2.
///
/// A missing line break is tolerated, since other tools forget it.
pub(super) fn is_known_version(text: &[u8]) -> bool {
    let known = ["1.0", "1.1", "1.2"];
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| {
            text.trim_end()
                .strip_prefix("Directory Transport Version: ")
        })
        .is_some_and(|version| known.contains(&version))
}

/// Whether skopeo or this program could have made a file of this name in a layout.
pub(super) fn is_layout_file(name: &str) -> bool {
    if matches!(name, MANIFEST | VERSION) || name.starts_with("dir-put-blob") {
        return true;
    }
    let is_signature = |text: &str| {
        text.strip_prefix("signature-")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let (stem, rest) = match name.split_once('.') {
        Some((stem, rest)) => (stem, Some(rest)),
        None => (name, None),
    };
    let hex = stem.split_once('-').map_or(stem, |(_, hex)| hex);
    let is_hex = matches!(hex.len(), 64 | 96 | 128)
        && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_signature(name) || (is_hex && rest.is_none_or(|rest| rest == MANIFEST || is_signature(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_skopeo_names_them() {
        let hex = "ab".repeat(32);
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        assert_eq!(blob(&digest), hex);
        assert_eq!(child(&digest), format!("{hex}.manifest.json"));
        let long = "cd".repeat(64);
        let digest: Digest = format!("sha512:{long}").parse().unwrap();
        assert_eq!(blob(&digest), format!("sha512-{long}"));
        assert_eq!(blob_names(&digest).nth(1), Some(long));
    }

    #[test]
    fn versions_up_to_1_2_are_known() {
        for (text, expect) in [
            (VERSION_1_1, true),
            (VERSION_1_2, true),
            ("Directory Transport Version: 1.1", true),
            ("Directory Transport Version: 1.3\n", false),
            ("Directory Transport Version: 2.0\n", false),
            ("1.1\n", false),
            ("", false),
        ] {
            assert_eq!(is_known_version(text.as_bytes()), expect, "{text:?}");
        }
    }

    #[test]
    fn a_layouts_files_are_told_from_others() {
        let hex = "0a".repeat(32);
        for (name, expect) in [
            ("version", true),
            ("manifest.json", true),
            ("signature-1", true),
            ("dir-put-blob123", true),
            (&*hex, true),
            (&*format!("{hex}.manifest.json"), true),
            (&*format!("{hex}.signature-12"), true),
            (&*format!("sha384-{}", "0".repeat(96)), true),
            ("signature-", false),
            ("notes.txt", false),
            ("ab", false),
            (&*format!("{hex}.txt"), false),
            (&*hex.to_uppercase(), false),
        ] {
            assert_eq!(is_layout_file(name), expect, "{name}");
        }
    }
}
