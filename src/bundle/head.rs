//! The json files at the start of a volume, and all that follows from them.

use super::check;
use super::error::{BlobProblem, BundleError, GZIPPED, MemberProblem, ROOT_FILE_SYSTEM};
use super::format::BundleManifest;
use super::input::Input;
use super::intruder;
use super::json::{
    self, BUNDLE_PATH, HeadDigests, JSON_LEN_MAX, Offsets, SIGNATURE_PATH, VOLUME_PATH,
};
use super::sign::{self, SIGNATURE_LEN, SignatureError, Signed, Trust};
use super::volume::{HeadLens, Volume};
use crate::oci::Digest;
use crate::tarball::{BLOCK_LEN, padded};

/// The head of a volume, checked: it is consistent and its members are at the listed offsets.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) manifest: BundleManifest,
    pub(super) known: HeadDigests,
    /// Whether it is signed, and whether the signature was checked.
    pub(super) signed: Signed,
    lens: HeadLens,
    /// As listed, of all volumes.
    offsets: Offsets,
}

/// The part of the head that differs between volumes.
#[derive(Debug)]
pub(super) struct VolumeHead {
    pub(super) volume: Volume,
    /// The digest of `hod/volume.json`.
    pub(super) volume_json: Digest,
}

/// A member of the head as it was found: its header, content and padding.
struct Found {
    header: Vec<u8>,
    content: Vec<u8>,
    padding: Vec<u8>,
}

/// Reads the head of any volume; `input` is then positioned after it.
///
/// Where keys are trusted, nothing of it is parsed until one of them is known to have signed it.
pub(super) fn read(
    input: &mut Input<'_>,
    trust: &Trust,
) -> Result<(Head, VolumeHead), BundleError> {
    let Some(volume_json) = read_first(input)? else {
        return Err(BundleError::NotABundle {
            path: input.path().to_owned(),
            found: "it is empty".to_owned(),
        });
    };
    read_rest(volume_json, input, trust)
}

/// Reads what comes behind `hod/volume.json`.
fn read_rest(
    volume_json: Found,
    input: &mut Input<'_>,
    trust: &Trust,
) -> Result<(Head, VolumeHead), BundleError> {
    let bundle_json = read_json(input, BUNDLE_PATH, JSON_LEN_MAX)?;
    let mut signature = None;
    if trust.is_required() {
        let Some(found) = read_signature(input)? else {
            return Err(trust.refuse_unsigned(input.path()).into());
        };
        trust.verify(&bundle_json.content, &found.content)?;
        signature = Some(found);
    }
    let (manifest, offsets) = json::parse_bundle(&bundle_json.content)?;
    if let (Some(listed), None) = (manifest.signed_by, &signature) {
        let found = read_signature(input)?;
        signature = Some(found.ok_or(SignatureError::Missing { listed })?);
    }
    if let Some(found) = &signature {
        sign::check_claim(&found.content, (manifest.signed_by, &manifest.id))?;
    }
    check::check(&manifest)?;
    let identity = json::parse_volume_identity(&volume_json.content)?;
    let mut found = vec![volume_json, bundle_json];
    found.extend(signature);
    let content = |at: usize| found.get(at).map(|found| found.content.as_slice());
    let lens = HeadLens {
        volume_json: found[0].content.len() as u64,
        bundle_json: found[1].content.len() as u64,
        signature: content(2).map_or(0, |content| content.len() as u64),
    };
    let volume = lay_out(&manifest, identity.index, lens)?;
    check_offsets(&manifest, &volume, &offsets)?;
    let known = HeadDigests::of(&found[1].content, content(2));
    let volume_json = check_members(&volume, &manifest, (&found, &known))?;
    let head = Head {
        signed: trust.standing(manifest.signed_by),
        manifest,
        known,
        lens,
        offsets,
    };
    let own = VolumeHead {
        volume,
        volume_json,
    };
    Ok((head, own))
}

impl Head {
    /// How many members the head has.
    pub(super) fn n_members(&self) -> usize {
        2 + usize::from(self.is_signed())
    }

    fn is_signed(&self) -> bool {
        self.manifest.signed_by.is_some()
    }

    /// Reads the head of another volume of the bundle; everything except `hod/volume.json` must be
    /// equal.
    ///
    /// `None` at the end of the input. A volume that claims to belong to another bundle is refused.
    /// With `examine` the first reason is determined, since an altered volume, or one that is not
    /// signed by a trusted key, may claim anything.
    pub(super) fn read_next(
        &self,
        input: &mut Input<'_>,
        examine: Option<&Trust>,
    ) -> Result<Option<VolumeHead>, BundleError> {
        let Some(volume_json) = read_first(input)? else {
            return Ok(None);
        };
        let identity = json::parse_volume_identity(&volume_json.content)?;
        if identity.bundle != self.manifest.id {
            let other = BundleError::OtherBundle {
                path: input.path().to_owned(),
                index: identity.index,
                expected: self.manifest.id.clone(),
                actual: identity.bundle,
            };
            let examined = examine.map(|trust| read_rest(volume_json, input, trust));
            return Err(examined.and_then(Result::err).unwrap_or(other));
        }
        let bundle_json = read_json(input, BUNDLE_PATH, JSON_LEN_MAX)?;
        let mut found = vec![volume_json, bundle_json];
        if self.is_signed() {
            found.push(read_json(input, SIGNATURE_PATH, SIGNATURE_LEN)?);
        }
        let signature = found.get(2).map(|found| found.content.as_slice());
        let known = HeadDigests::of(&found[1].content, signature);
        for (path, is_same) in [
            (BUNDLE_PATH, known.bundle_json == self.known.bundle_json),
            (SIGNATURE_PATH, known.signature == self.known.signature),
        ] {
            if !is_same {
                return Err(BundleError::member(path, MemberProblem::Differs));
            }
        }
        if found[0].content.len() as u64 != self.lens.volume_json {
            return Err(BundleError::member(VOLUME_PATH, MemberProblem::Differs));
        }
        let volume = lay_out(&self.manifest, identity.index, self.lens)?;
        check_offsets(&self.manifest, &volume, &self.offsets)?;
        let volume_json = check_members(&volume, &self.manifest, (&found, &known))?;
        Ok(Some(VolumeHead {
            volume,
            volume_json,
        }))
    }
}

fn lay_out(manifest: &BundleManifest, index: u32, lens: HeadLens) -> Result<Volume, BundleError> {
    if index > manifest.n_volumes {
        return Err(BundleError::member(VOLUME_PATH, MemberProblem::Listing));
    }
    Volume::new(manifest, index, lens)
}

/// Checks that the members of the head are what the layout implies; returns the digest of the
/// first.
fn check_members(
    volume: &Volume,
    manifest: &BundleManifest,
    (found, known): (&[Found], &HeadDigests),
) -> Result<Digest, BundleError> {
    let volume_json = Digest::of(&found[0].content);
    for (at, found) in found.iter().enumerate() {
        let member = &volume.members()[at];
        if found.header != volume.lead(member, &volume_json) {
            return Err(intruder::examine(volume.members(), at, &found.header));
        }
        if found.padding.iter().any(|&byte| byte != 0) {
            return Err(BundleError::member(&member.path, MemberProblem::Padding));
        }
    }
    json::check_volume(&found[0].content, manifest, (volume, known))?;
    Ok(volume_json)
}

/// Checks the listed offsets of what is in this volume.
fn check_offsets(
    manifest: &BundleManifest,
    volume: &Volume,
    listed: &Offsets,
) -> Result<(), BundleError> {
    use super::volume::Content;
    for member in volume.members() {
        let actual = member.offset;
        let (at, listed) = match member.content {
            Content::Blob(at) => (at, listed.blobs[at][0]),
            Content::Part(at, part) => (at, listed.blobs[at][part]),
            Content::File(at, _) if listed.files[at] != actual => {
                let listed = listed.files[at];
                let problem = MemberProblem::Offset { listed, actual };
                return Err(BundleError::member(&member.path, problem));
            }
            _ => continue,
        };
        if listed != actual {
            return Err(BundleError::Blob {
                digest: manifest.blobs[at].digest.clone(),
                problem: BlobProblem::Offset { listed, actual },
            });
        }
    }
    Ok(())
}

/// Reads `hod/volume.json`; `None` at the end of the input.
fn read_first(input: &mut Input<'_>) -> Result<Option<Found>, BundleError> {
    // A pax header, the comment in it, the header.
    let mut first = vec![0; 3 * block_len()];
    let n = input.fill(&mut first, VOLUME_PATH)?;
    first.truncate(n);
    if first.is_empty() {
        return Ok(None);
    }
    check_first(input, &first)?;
    let header = &first[2 * block_len()..];
    let (content, padding) = read_content(input, header, (VOLUME_PATH, JSON_LEN_MAX))?;
    Ok(Some(Found {
        header: first,
        content,
        padding,
    }))
}

/// Reads the signature; `None` when another member, or none, is in its place.
fn read_signature(input: &mut Input<'_>) -> Result<Option<Found>, BundleError> {
    let mut header = vec![0; block_len()];
    let n = input.fill(&mut header, SIGNATURE_PATH)?;
    let is_other = intruder::is_header(&header)
        && *tar::Header::from_byte_slice(&header).path_bytes() != *SIGNATURE_PATH.as_bytes();
    if n < header.len() || is_other || header.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    let (content, padding) = read_content(input, &header, (SIGNATURE_PATH, SIGNATURE_LEN))?;
    Ok(Some(Found {
        header,
        content,
        padding,
    }))
}

/// Reads a further member of the head.
fn read_json(
    input: &mut Input<'_>,
    path: &'static str,
    len_max: u64,
) -> Result<Found, BundleError> {
    let mut header = vec![0; block_len()];
    let n = input.fill(&mut header, path)?;
    if n < header.len() {
        return Err(BundleError::member(path, MemberProblem::Truncated));
    }
    let (content, padding) = read_content(input, &header, (path, len_max))?;
    Ok(Found {
        header,
        content,
        padding,
    })
}

/// Whether the first member of a tar is one that Docker and podman put there when they export a
/// container.
fn is_root_file_system(first: &str) -> bool {
    let first = first.trim_start_matches("./");
    first == ".dockerenv" || ["bin", "bin/", "boot/", "dev/", "etc/"].contains(&first)
}

/// Tells a bundle, even a damaged one, from any other file.
fn check_first(input: &Input<'_>, first: &[u8]) -> Result<(), BundleError> {
    let names_volume = |bytes: &[u8]| {
        let name = VOLUME_PATH.as_bytes();
        bytes.windows(name.len()).any(|window| window == name)
    };
    let found = match intruder::first_path(first) {
        Some(path) if path == VOLUME_PATH => None,
        Some(path) if is_root_file_system(&path) => Some(format!(
            "it is {ROOT_FILE_SYSTEM}, as `docker export` writes it"
        )),
        Some(path) => Some(format!(
            "its first member is `{}`, not `{VOLUME_PATH}`",
            path.escape_debug()
        )),
        None if names_volume(first) => None,
        None if first.starts_with(b"\x1f\x8b") => Some(GZIPPED.to_owned()),
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
fn read_content(
    input: &mut Input<'_>,
    block: &[u8],
    (path, len_max): (&'static str, u64),
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
    if len > len_max {
        let problem = MemberProblem::TooLong { max: len_max };
        return Err(BundleError::member(path, problem));
    }
    let bytes = input.read_vec(len, path)?;
    let padding = input.read_vec(padded(len) - len, path)?;
    Ok((bytes, padding))
}

fn block_len() -> usize {
    usize::try_from(BLOCK_LEN).expect("a block is short")
}
