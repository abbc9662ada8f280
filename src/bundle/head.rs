//! The two json files at the start of a bundle, and all that follows from them.

use super::error::{BlobProblem, BundleError, MemberProblem};
use super::format::{self, BUNDLE_PATH, BundleManifest, JSON_LEN_MAX, VOLUME_PATH};
use super::header::{BLOCK_LEN, padded};
use super::input::Input;
use super::intruder;
use super::plan;
use super::volume::Volume;
use crate::oci::Digest;

/// How many members the head has.
pub(super) const N_MEMBERS: usize = 2;

/// What a bundle says of itself, checked: it makes sense and lies where it says.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) manifest: BundleManifest,
    pub(super) volume: Volume,
    /// The digest of `hod/volume.json`.
    pub(super) volume_json: Digest,
}

/// Reads the head; `input` is then at the third member.
pub(super) fn read(input: &mut Input<'_>) -> Result<Head, BundleError> {
    // A pax header, the comment in it, the header.
    let mut first = vec![0; 3 * block_len()];
    let n = input.fill(&mut first, VOLUME_PATH)?;
    first.truncate(n);
    check_first(input, &first)?;
    let (volume_json, volume_padding) = read_json(input, &first[2 * block_len()..], VOLUME_PATH)?;
    format::check_volume_count(&volume_json)?;

    let mut second = vec![0; block_len()];
    let n = input.fill(&mut second, BUNDLE_PATH)?;
    if n < second.len() {
        return Err(BundleError::member(BUNDLE_PATH, MemberProblem::Truncated));
    }
    let (bundle_json, bundle_padding) = read_json(input, &second, BUNDLE_PATH)?;
    let (manifest, offsets) = format::parse_bundle(&bundle_json)?;
    plan::check(&manifest)?;
    let lens = (volume_json.len() as u64, bundle_json.len() as u64);
    let volume = Volume::new(&manifest, lens)?;

    let volume_digest = Digest::of(&volume_json);
    for (at, found) in [first, second].iter().enumerate() {
        let expected = volume.lead(&volume.members()[at], &volume_digest);
        if *found != expected {
            return Err(intruder::examine(volume.members(), at, found));
        }
    }
    for (path, padding) in [(VOLUME_PATH, volume_padding), (BUNDLE_PATH, bundle_padding)] {
        if padding.iter().any(|&byte| byte != 0) {
            return Err(BundleError::member(path, MemberProblem::Padding));
        }
    }
    for ((listed, actual), blob) in offsets
        .iter()
        .zip(volume.blob_offsets())
        .zip(&manifest.blobs)
    {
        if *listed != actual {
            return Err(BundleError::Blob {
                digest: blob.digest.clone(),
                problem: BlobProblem::Offset {
                    listed: *listed,
                    actual,
                },
            });
        }
    }
    let bundle_digest = Digest::of(&bundle_json);
    format::check_volume(&volume_json, &manifest, (&volume, &bundle_digest))?;
    Ok(Head {
        manifest,
        volume,
        volume_json: volume_digest,
    })
}

/// Tells a bundle, even a damaged one, from any other file.
fn check_first(input: &Input<'_>, first: &[u8]) -> Result<(), BundleError> {
    let names_volume = |bytes: &[u8]| {
        let name = VOLUME_PATH.as_bytes();
        bytes.windows(name.len()).any(|window| window == name)
    };
    let found = match intruder::first_path(first) {
        Some(path) if path == VOLUME_PATH => None,
        Some(path) => Some(format!(
            "its first member is `{}`, not `{VOLUME_PATH}`",
            path.escape_debug()
        )),
        None if names_volume(first) => None,
        None if first.is_empty() => Some("it is empty".to_owned()),
        None => Some("it does not start as a tar does".to_owned()),
    };
    if let Some(found) = found {
        return Err(BundleError::NotABundle {
            path: input.path().to_owned(),
            found,
        });
    }
    if first.len() < 3 * block_len() {
        return Err(BundleError::member(VOLUME_PATH, MemberProblem::Truncated));
    }
    Ok(())
}

/// Reads the content and padding of a member by its last header block.
fn read_json(
    input: &mut Input<'_>,
    block: &[u8],
    path: &'static str,
) -> Result<(Vec<u8>, Vec<u8>), BundleError> {
    if !intruder::is_header(block) {
        return Err(BundleError::member(path, MemberProblem::HeaderDamaged));
    }
    let header = tar::Header::from_byte_slice(block);
    let found = header.path_bytes();
    if *found != *path.as_bytes() {
        let found = String::from_utf8_lossy(&found).into_owned();
        return Err(BundleError::member(&found, MemberProblem::Unlisted));
    }
    let Ok(len) = header.entry_size() else {
        return Err(BundleError::member(path, MemberProblem::HeaderDamaged));
    };
    if len > JSON_LEN_MAX {
        let problem = MemberProblem::TooLong { max: JSON_LEN_MAX };
        return Err(BundleError::member(path, problem));
    }
    let bytes = input.read_vec(len, path)?;
    let padding = input.read_vec(padded(len) - len, path)?;
    Ok((bytes, padding))
}

fn block_len() -> usize {
    usize::try_from(BLOCK_LEN).expect("a block is short")
}
