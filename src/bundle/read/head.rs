//! Reads and checks the json files at the start of a volume.

use super::expected::{expect_zeros, unexpected_member};
use crate::error::{BlobProblem, BundleError, GZIPPED, MemberProblem, ROOT_FILE_SYSTEM};
use crate::format::BundleManifest;
use crate::format::check;
use crate::format::json::{self, HeadDigests, JSON_LEN_MAX, Offsets};
use crate::format::paths::{BUNDLE_PATH, SIGNATURE_PATH, VOLUME_PATH};
use crate::format::volume::{Content, HeadLens, Volume};
use crate::sign::{self, SIGNATURE_LEN, SignatureError, Signed, Trust};
use hod_oci::Digest;
use hod_tarball::{BLOCK, Fault, Input, MemberKind, Problem, RawMember, SEARCHED_LEN, padded};

/// The head of a volume. It is consistent, and its members are at the listed offsets.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) manifest: BundleManifest,
    pub(crate) known: HeadDigests,
    /// Whether it is signed, and whether the signature was checked.
    pub(crate) signed: Signed,
    lens: HeadLens,
    /// The listed offsets, of all volumes.
    offsets: Offsets,
}

/// The part of the head that differs between volumes.
#[derive(Debug)]
pub(crate) struct VolumeHead {
    pub(crate) volume: Volume,
    /// The digest of `hod/volume.json`.
    pub(crate) volume_json: Digest,
}

/// A member of the head that was read.
struct HeadMember {
    header: RawMember,
    content: Vec<u8>,
}

/// Reads the head of any volume, after which `input` is positioned.
///
/// If trusted keys are given, nothing is parsed before a signature by one of them was verified.
pub(crate) fn read(
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

/// Reads the rest of the head after `hod/volume.json`.
fn read_rest(
    volume_json: HeadMember,
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
        sign::check_claim(&found.content, manifest.signed_by, &manifest.id)?;
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
    let volume_json = check_members(&volume, &manifest, &found, &known)?;
    let head = Head {
        signed: trust.status(manifest.signed_by),
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
    /// Returns the number of members of the head.
    pub(crate) fn n_members(&self) -> usize {
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
    pub(crate) fn read_next(
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
        let volume_json = check_members(&volume, &self.manifest, &found, &known)?;
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

/// Compares the members of the head with the layout; returns the digest of the first.
fn check_members(
    volume: &Volume,
    manifest: &BundleManifest,
    found: &[HeadMember],
    known: &HeadDigests,
) -> Result<Digest, BundleError> {
    let volume_json = Digest::of(&found[0].content);
    for (at, found) in found.iter().enumerate() {
        let member = &volume.members()[at];
        if found.header.lead != volume.lead(member, &volume_json) {
            return Err(unexpected_member(volume.members(), at, &found.header));
        }
    }
    json::check_volume(&found[0].content, manifest, volume, known)?;
    Ok(volume_json)
}

/// Checks the listed offsets of the members of this volume.
fn check_offsets(
    manifest: &BundleManifest,
    volume: &Volume,
    listed: &Offsets,
) -> Result<(), BundleError> {
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

/// The length of the blocks before `hod/volume.json`: a pax header, its comment, and the header of
/// the member.
pub(crate) const START_LEN: usize = 3 * BLOCK;

/// Returns whether a file with this start is a bundle, even a damaged one.
pub(crate) fn names_bundle(start: &[u8]) -> bool {
    let name = VOLUME_PATH.as_bytes();
    let start = &start[..start.len().min(START_LEN)];
    start.windows(name.len()).any(|window| window == name)
}

/// Reads `hod/volume.json`; `None` at the end of the input.
fn read_first(input: &mut Input<'_>) -> Result<Option<HeadMember>, BundleError> {
    input.enter(VOLUME_PATH);
    let start = input.peek(SEARCHED_LEN)?;
    if start.is_empty() {
        return Ok(None);
    }
    let header = input.next_header();
    let first = header.as_ref().ok().and_then(Option::as_ref);
    if let Some(found) = other_file(first.map(|first| first.path.as_str()), &start) {
        return Err(BundleError::NotABundle {
            path: input.path().to_owned(),
            found,
        });
    }
    read_content(input, header?, VOLUME_PATH, JSON_LEN_MAX).map(Some)
}

/// Reads the signature; `None` if the next member is another one, or there is none.
fn read_signature(input: &mut Input<'_>) -> Result<Option<HeadMember>, BundleError> {
    input.enter(SIGNATURE_PATH);
    let header = match input.next_header() {
        Err(Fault {
            problem: Problem::Truncated(_),
            ..
        }) => None,
        header => header?,
    };
    let header = header.filter(|header| header.path == SIGNATURE_PATH);
    let read = |header| read_content(input, Some(header), SIGNATURE_PATH, SIGNATURE_LEN);
    let found = header.map(read);
    found.transpose()
}

/// Reads a further member of the head.
fn read_json(
    input: &mut Input<'_>,
    path: &'static str,
    len_max: u64,
) -> Result<HeadMember, BundleError> {
    input.enter(path);
    let header = input.next_header()?;
    read_content(input, header, path, len_max)
}

/// Returns whether a tar that starts with this member is an exported container of Docker or podman.
fn is_root_file_system(first: &str) -> bool {
    let first = first.trim_start_matches("./");
    first == ".dockerenv" || ["bin", "bin/", "boot/", "dev/", "etc/"].contains(&first)
}

/// Returns what a file is that is not a bundle, by the path of its first member and its first
/// bytes; `None` for a bundle, even a damaged one.
fn other_file(first: Option<&str>, start: &[u8]) -> Option<String> {
    match first {
        Some(VOLUME_PATH) => None,
        Some(path) if is_root_file_system(path) => Some(format!(
            "it is {ROOT_FILE_SYSTEM}, as `docker export` writes it"
        )),
        Some(path) => Some(format!(
            "its first member is `{}`, not `{VOLUME_PATH}`",
            path.escape_debug()
        )),
        None if names_bundle(start) => None,
        None if hod_tarball::has_header(start) => None,
        None if start.starts_with(b"\x1f\x8b") => Some(GZIPPED.to_owned()),
        None => Some("it is not a tar archive".to_owned()),
    }
}

/// Reads the content of a member, after its headers, and the padding after it.
fn read_content(
    input: &mut Input<'_>,
    header: Option<RawMember>,
    path: &'static str,
    len_max: u64,
) -> Result<HeadMember, BundleError> {
    let header = header.ok_or_else(|| BundleError::member(path, MemberProblem::Missing))?;
    if header.path != path {
        return Err(BundleError::member(&header.path, MemberProblem::Unlisted));
    }
    if header.kind != MemberKind::File {
        let kind = header.kind.name();
        return Err(BundleError::member(path, MemberProblem::Kind { kind }));
    }
    if header.len > len_max {
        let problem = MemberProblem::TooLong { max: len_max };
        return Err(BundleError::member(path, problem));
    }
    let content = input.read_vec(header.len)?;
    expect_zeros(input, padded(header.len) - header.len)?;
    Ok(HeadMember { header, content })
}
