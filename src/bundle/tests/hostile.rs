//! Hostile archives: every one must be refused with an error that names what is wrong.

mod archive;
mod lists;

use std::io::Read;
use std::path::Path;

use tar::{EntryType, Header};

use super::sample::{Builder, Sample, noise};
use crate::format::paths::{BUNDLE_PATH, VOLUME_PATH};
use crate::format::volume::Member;
use crate::{
    BlobCheck, Bundle, BundleBlob, BundleError, BundleManifest, BundleVerifyOutcome, Compression,
    ReadOptions, StreamSink, Trust, VerifyOptions, read_stream, verify,
};
use hod_oci::Digest;
use hod_report::chain;
use hod_tarball::{Comment, Entry, EntryKind, padded};

const README: &str = "README.txt";

/// A small honest bundle, in the pieces from which evil ones are made.
struct Good {
    sample: Sample,
    bytes: Vec<u8>,
    members: Vec<Member>,
    volume_json: String,
    bundle_json: String,
}

fn good() -> Good {
    let mut builder = Builder::new();
    builder.image("a/b:1", b"{}", &[&noise(1, 5000), b""]);
    honest(builder.finish())
}

fn honest(sample: Sample) -> Good {
    let bytes = sample.write("good.tar", Compression::Raw);
    let bundle = Bundle::open(&sample.path("good.tar"), &ReadOptions::default()).unwrap();
    let volume = bundle.volumes().next().unwrap();
    let members = volume.layout().members().to_vec();
    let text = |at: usize| {
        let bytes = volume.read_small(&members[at]).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    Good {
        volume_json: text(0),
        bundle_json: text(1),
        bytes,
        members: members.clone(),
        sample,
    }
}

fn check(path: &Path) -> Result<BundleVerifyOutcome, BundleError> {
    let options = VerifyOptions {
        read: &ReadOptions::default(),
        jobs: 2,
        on_bytes: &|_| {},
    };
    verify(path, &options)
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl Good {
    /// The position of the first member whose path contains `part`.
    fn find(&self, part: &str) -> usize {
        let mut members = self.members.iter();
        members
            .position(|member| member.path.contains(part))
            .unwrap()
    }

    /// The bundle with `entry` before a member.
    fn insert(&self, before: usize, entry: &[u8]) -> Vec<u8> {
        let offset = at(self.members[before].lead_offset);
        [&self.bytes[..offset], entry, &self.bytes[offset..]].concat()
    }

    /// The bundle with `entry` in place of a member.
    fn replace(&self, member: usize, entry: &[u8]) -> Vec<u8> {
        let Member { lead_offset, .. } = self.members[member];
        let end = self.members[member].end();
        [
            &self.bytes[..at(lead_offset)],
            entry,
            &self.bytes[at(end)..],
        ]
        .concat()
    }

    /// The bundle with a byte changed by `by` at `offset`.
    fn change(&self, offset: u64, by: u8) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[at(offset)] ^= by;
        bytes
    }

    /// The bundle with other json files, whose ids, digests and headers are right again.
    fn rewrite(
        &self,
        edit_bundle: impl Fn(&str) -> String,
        edit_volume: impl Fn(&str) -> String,
    ) -> Vec<u8> {
        let id_of = |json: &str| json[18..89].to_owned();
        let old_id = id_of(&self.bundle_json);
        let edited = edit_bundle(&self.bundle_json);
        let zeroed = edited.replace(&old_id, &format!("sha256:{}", "0".repeat(64)));
        let id = Digest::of(zeroed.as_bytes());
        let bundle_json = edited.replace(&old_id, id.as_str());
        let volume_json = self
            .volume_json
            .replace(&old_id, id.as_str())
            .replace(
                Digest::of(self.bundle_json.as_bytes()).as_str(),
                Digest::of(bundle_json.as_bytes()).as_str(),
            )
            .replace(
                &format!("\"length\":{}", self.bundle_json.len()),
                &format!("\"length\":{}", bundle_json.len()),
            );
        let volume_json = edit_volume(&volume_json);
        let digest = Digest::of(volume_json.as_bytes());
        let note = format!("hod bundle; hod/volume.json has the digest {digest}");
        let mut bytes = Vec::new();
        for (path, json, comment) in [
            (VOLUME_PATH, &volume_json, Comment::Note(&note)),
            (BUNDLE_PATH, &bundle_json, Comment::None),
        ] {
            let entry = Entry {
                path,
                kind: EntryKind::File,
                len: json.len() as u64,
                mtime: self.sample.plan.mtime,
                comment,
            };
            bytes.extend_from_slice(&entry.lead(bytes.len() as u64));
            bytes.extend_from_slice(json.as_bytes());
            bytes.resize(at(padded(bytes.len() as u64)), 0);
        }
        bytes.extend_from_slice(&self.bytes[at(self.members[2].lead_offset)..]);
        bytes
    }

    /// Checks that every reader refuses `bytes`, and returns their errors.
    #[track_caller]
    fn refusals(&self, bytes: &[u8]) -> [String; 4] {
        let path = self.sample.path("evil.tar");
        hod_fsx::write_file(&path, bytes).unwrap();
        let in_place = Bundle::open(&path, &ReadOptions::default())
            .and_then(|bundle| bundle.check_all_but_blobs());
        // Content is not read in place until it is asked for.
        let in_place = in_place.map_or_else(|error| chain(&error), |()| String::new());
        let problems = match check(&path) {
            Ok(outcome) => outcome.problems.join("\n"),
            Err(error) => chain(&error),
        };
        assert_ne!(problems, "", "verified");
        let compressed = zstd::encode_all(bytes, 1).unwrap();
        [in_place, problems, stream(bytes), stream(&compressed)]
    }

    /// All that reads bundles refuses `bytes` with a message that holds `expect`.
    #[track_caller]
    fn check(&self, bytes: &[u8], expect: &str) {
        for (refusal, how) in self
            .refusals(bytes)
            .iter()
            .zip(["place", "verify", "pass", "zstd"])
        {
            assert!(
                refusal.contains(expect),
                "{how}: `{refusal}` without `{expect}`"
            );
        }
    }

    /// As `check`, of this bundle with `to` in place of `from` in its `bundle.json`.
    #[track_caller]
    fn check_json(&self, from: &str, to: &str, expect: &str) {
        assert!(self.bundle_json.contains(from), "{}", self.bundle_json);
        let evil = self.rewrite(|json| json.replace(from, to), str::to_owned);
        self.check(&evil, expect);
    }

    /// As `check`, for content, which is not looked at in place.
    #[track_caller]
    fn check_content(&self, bytes: &[u8], expect: &str) {
        for (refusal, how) in self.refusals(bytes)[1..]
            .iter()
            .zip(["verify", "pass", "zstd"])
        {
            assert!(
                refusal.contains(expect),
                "{how}: `{refusal}` without `{expect}`"
            );
        }
    }
}

/// A sink that reads all and must never be told that it went well.
struct Victim;

impl StreamSink for Victim {
    type Error = BundleError;

    fn start(&mut self, _: &BundleManifest) -> Result<(), BundleError> {
        Ok(())
    }

    fn blob(&mut self, blob: &BundleBlob, content: &mut dyn Read) -> Result<(), BundleError> {
        let mut bytes = Vec::new();
        if content.read_to_end(&mut bytes).is_ok() {
            assert_eq!(bytes.len() as u64, blob.size);
        }
        Ok(())
    }

    fn finish(&mut self, _: &BundleManifest) -> Result<(), BundleError> {
        panic!("a hostile archive was accepted");
    }
}

#[track_caller]
fn stream(bytes: &[u8]) -> String {
    let error = read_stream(
        bytes,
        Path::new("evil.tar"),
        &Trust::default(),
        BlobCheck::Reader,
        &mut Victim,
    );
    chain(&error.unwrap_err())
}

/// An entry with an arbitrary path, valid or not.
fn entry(path: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.set_link_name_literal("/etc/passwd").unwrap();
    }
    header.set_cksum();
    let mut bytes = [header.as_bytes(), content].concat();
    bytes.resize(at(padded(bytes.len() as u64)), 0);
    bytes
}

fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    // Short enough for its length to have two digits, or one.
    let len = rest.len() + 1 + usize::from(rest.len() > 8);
    let record = format!("{len}{rest}");
    entry("PaxHeaders/x", EntryType::XHeader, record.as_bytes())
}
