//! What holds of every bundle in volumes, and of every change to one.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::sample::{Blobs, Builder, Sample, noise};
use crate::Trust;
use crate::format::paths::{BUNDLE_PATH, VOLUME_PATH};
use crate::format::volume::{Content, Member, Volume};
use crate::{
    BlobCheck, Bundle, BundleError, BundleManifest, Compression, ReadOptions, VerifyOptions,
    read_stream, verify,
};
use hod_oci::Digest;
use hod_report::chain;

/// Three volumes and one blob that is in all of them.
fn cut() -> Written {
    let mut builder = Builder::new();
    builder.image("a/one:1", b"{}", &[&noise(1, 180_000), b"", &noise(2, 900)]);
    builder.image("a/two:1", b"{\"two\":2}", &[&noise(3, 3000)]);
    let mut sample = builder.finish();
    sample.plan.volume_size = Some(118_784);
    Written::new(sample)
}

/// A bundle in volumes, and the plan it was made from.
struct Written {
    sample: Sample,
    manifest: BundleManifest,
    paths: Vec<PathBuf>,
    volumes: Vec<Vec<u8>>,
    layouts: Vec<Volume>,
}

impl Written {
    fn new(sample: Sample) -> Self {
        let written = sample.try_write("b.tar", Compression::Raw, 2).unwrap();
        let paths: Vec<PathBuf> = written.files.into_iter().map(|(path, _)| path).collect();
        let bundle = Bundle::open(&paths[0], &ReadOptions::default()).unwrap();
        let volumes = paths.iter().map(|path| hod_fsx::read(path, u64::MAX / 2));
        Self {
            manifest: written.manifest,
            volumes: volumes.collect::<Result<_, _>>().unwrap(),
            layouts: bundle.volumes().map(|open| open.layout().clone()).collect(),
            sample,
            paths,
        }
    }

    /// The blob that is cut, by its position in the manifest.
    fn cut(&self) -> usize {
        let mut blobs = self.manifest.blobs.iter();
        blobs.position(|blob| !blob.parts().is_empty()).unwrap()
    }

    /// The member with a part of the blob that is cut.
    fn part(&self, part: usize) -> &Member {
        let at = self.cut();
        let volume = self.manifest.blobs[at].parts()[part].volume;
        let volume = &self.layouts[usize::try_from(volume).unwrap() - 1];
        let mut members = volume.members().iter();
        let found = members.find(|member| member.content == Content::Part(at, part));
        found.unwrap()
    }

    /// Writes other bytes in place of the volumes; what all that reads them says: in place, when
    /// verified, and in one pass.
    fn say(&self, volumes: &[Vec<u8>]) -> [String; 3] {
        for (path, bytes) in self.paths.iter().zip(volumes) {
            hod_fsx::write_file(path, bytes).unwrap();
        }
        let open = Bundle::open(&self.paths[0], &ReadOptions::default());
        let placed = open.and_then(|bundle| {
            bundle.require_complete()?;
            bundle.check_all_but_blobs()
        });
        let joined = volumes.concat();
        let piped = read_stream(
            &joined[..],
            Path::new("-"),
            &Trust::default(),
            BlobCheck::Reader,
            &mut Blobs::default(),
        );
        let text =
            |result: Result<(), BundleError>| result.err().map_or(String::new(), |e| chain(&e));
        [
            text(placed),
            said_of(&self.paths[0]),
            text(piped.map(|_| ())),
        ]
    }

    /// All that reads content refuses the volumes with a message that holds `expect`.
    #[track_caller]
    fn refused(&self, volumes: &[Vec<u8>], expect: &str) {
        let [_, verified, piped] = self.say(volumes);
        assert!(
            verified.contains(expect),
            "verify: `{verified}` without `{expect}`"
        );
        assert!(piped.contains(expect), "pipe: `{piped}` without `{expect}`");
    }

    /// The volumes with another list, which is consistent in itself: its id, all digests of it and
    /// the headers are right.
    fn forge(&self, edit: impl Fn(&str) -> String) -> Vec<Vec<u8>> {
        let at = |n: u64| usize::try_from(n).unwrap();
        let volumes = self.volumes.iter().zip(&self.layouts);
        let forged = volumes.map(|(bytes, layout)| {
            let text = |member: &Member| {
                let content = &bytes[at(member.offset)..at(member.offset + member.len)];
                String::from_utf8(content.to_vec()).unwrap()
            };
            let [volume_json, bundle_json] = [&layout.members()[0], &layout.members()[1]];
            let old = text(bundle_json);
            let old_id = &old[18..89];
            let edited = edit(&old);
            assert_eq!(
                edited.len(),
                old.len(),
                "lies that are as long as the truth"
            );
            let zeroed = edited.replace(old_id, &format!("sha256:{}", "0".repeat(64)));
            let id = Digest::of(zeroed.as_bytes());
            let new = edited.replace(old_id, id.as_str());
            let digest = |text: &str| Digest::of(text.as_bytes());
            let volume = edit(&text(volume_json)).replace(old_id, id.as_str());
            let volume = volume.replace(digest(&old).as_str(), digest(&new).as_str());
            let mut bytes = bytes.clone();
            let mut put = |offset: u64, new: &[u8]| {
                bytes[at(offset)..at(offset) + new.len()].copy_from_slice(new);
            };
            put(0, &layout.lead(volume_json, &digest(&volume)));
            put(volume_json.offset, volume.as_bytes());
            put(bundle_json.offset, new.as_bytes());
            bytes
        });
        forged.collect()
    }
}

/// The output of `verify` for the bundle at a path; empty when it found no problem.
fn said_of(path: &Path) -> String {
    let options = VerifyOptions {
        read: &ReadOptions::default(),
        jobs: 2,
        on_bytes: &|_| {},
    };
    match verify(path, &options) {
        Ok(outcome) => outcome.problems.join("\n"),
        Err(error) => chain(&error),
    }
}

/// Offsets of every kind of byte of a member: of each block of its headers, of its content and of
/// the padding after it.
fn offsets_of(member: &Member) -> Vec<u64> {
    let mut offsets = Vec::new();
    for block in (member.lead_offset..member.offset).step_by(512) {
        offsets.extend([0, 99, 124, 148, 156, 257, 345, 511].map(|at| block + at));
    }
    let content = member.offset..member.offset + member.len;
    let step = usize::try_from(member.len / 5).unwrap().max(1);
    offsets.extend(content.clone().step_by(step));
    offsets.extend(content.end.checked_sub(1).filter(|_| member.len > 0));
    offsets.extend([content.end, member.end().saturating_sub(1)]);
    offsets.retain(|at| (member.lead_offset..member.end()).contains(at));
    offsets.sort_unstable();
    offsets.dedup();
    offsets
}

#[test]
fn every_flipped_bit_is_found_in_its_volume_and_member() {
    let written = cut();
    assert_eq!(written.paths.len(), 3);
    // Each volume separately: the others are not needed for this.
    let alone = written.sample.path("alone");
    hod_fsx::create_dir_all(&alone).unwrap();
    let mut n = 0;
    for ((path, good), layout) in written
        .paths
        .iter()
        .zip(&written.volumes)
        .zip(&written.layouts)
    {
        let name = path.file_name().unwrap().to_str().unwrap();
        let path = alone.join(name);
        for member in layout.members() {
            let is_head = [VOLUME_PATH, BUNDLE_PATH].contains(&member.path.as_str());
            for at in offsets_of(member) {
                let mut bytes = good.clone();
                bytes[usize::try_from(at).unwrap()] ^= 1 << (at % 8);
                hod_fsx::write_file(&path, &bytes).unwrap();
                let said = said_of(&path);
                n += 1;
                if is_head {
                    assert!(said.contains("hod"), "{name} at {at}: `{said}`");
                    continue;
                }
                assert!(said.contains(name), "{name} at {at}: `{said}`");
                // A header may name another member after the change.
                let is_content = at >= member.offset;
                assert!(
                    !is_content || said.contains(&member.path),
                    "{name} at {at}: `{said}` without `{}`",
                    member.path
                );
            }
        }
        let end = good.len() - 1024;
        for at in [end, end + 511, good.len() - 1] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            hod_fsx::write_file(&path, &bytes).unwrap();
            assert!(said_of(&path).contains(name), "{name} at {at}");
        }
        hod_fsx::remove_file(&path).unwrap();
    }
    assert!(n > 500, "{n}");
}

#[test]
fn a_volume_that_is_cut_anywhere_is_refused() {
    let written = cut();
    for (at, good) in written.volumes.iter().enumerate() {
        let members = written.layouts[at].members().iter();
        let edges = members.flat_map(|member| [member.lead_offset, member.offset, member.end()]);
        let random = noise(7, 160).into_iter().map(u64::from);
        let random = random.scan(0, |sum, step| {
            *sum += step * 17;
            Some(*sum)
        });
        for edge in edges.chain(random) {
            for len in [edge.saturating_sub(1), edge, edge + 1] {
                let len = usize::try_from(len).unwrap();
                if len >= good.len() {
                    continue;
                }
                let path = &written.paths[at];
                hod_fsx::write_file(path, &good[..len]).unwrap();
                let open = Bundle::open(&written.paths[0], &ReadOptions::default());
                assert!(open.is_err(), "{at} cut to {len}");
                let mut joined = written.volumes[..at].concat();
                joined.extend_from_slice(&good[..len]);
                let mut blobs = Blobs::default();
                let read = read_stream(
                    &joined[..],
                    path,
                    &Trust::default(),
                    BlobCheck::Sink,
                    &mut blobs,
                );
                let error = chain(&read.unwrap_err());
                // A stream that ends between two volumes lacks all that follow.
                let number = match (at, len) {
                    (1, 0) => "volumes 2 and 3 of 3 are missing".to_owned(),
                    (2, 0) => "volume 3 of 3 is missing".to_owned(),
                    _ => format!("volume {} of 3", at + 1),
                };
                assert!(
                    error.contains(&number) || (at == 0 && len < 30_000),
                    "{len}: {error}"
                );
            }
        }
        hod_fsx::write_file(&written.paths[at], good).unwrap();
    }
}

#[test]
fn lists_that_lie_about_volumes_and_parts_are_refused() {
    let written = cut();
    assert_eq!(written.say(&written.volumes), ["", "", ""]);
    let same = written.forge(str::to_owned);
    assert!(
        same == written.volumes,
        "a forgery of the truth is the truth"
    );
    let digest = &written.manifest.blobs[written.cut()].digest;
    let parts = written.manifest.blobs[written.cut()].parts();
    let json = |text: &str, from: &str, to: &str| {
        // Also in `hod/volume.json`, where it is listed otherwise, or not at all.
        text.replace(from, to)
    };
    let placed = |volume: u32, member: &Member| {
        format!(
            "\"volume\":{volume},\"offset\":{},\"size\":{}",
            member.offset, member.len
        )
    };
    let of = |n: usize| placed(parts[n].volume, written.part(n));
    // Two parts in one volume, which overlap; parts in another order; in a volume too many.
    let place =
        format!("blob `{digest}` of the bundle is listed in volumes that cannot contain it");
    for (part, volume) in [(1, 1), (0, 2), (2, 2), (2, 9)] {
        let to = placed(volume, written.part(part));
        written.refused(&written.forge(|text| json(text, &of(part), &to)), &place);
    }
    let swapped = written.forge(|text| {
        let (first, second) = (of(0), of(1));
        let text = text
            .replace(&first, "@")
            .replace(&second, &placed(1, written.part(1)));
        text.replace('@', &placed(2, written.part(0)))
    });
    written.refused(&swapped, &place);
    // Sizes that are another in all, or that are the same in all and another in each.
    let sized = |n: usize, size: u64| {
        let member = written.part(n);
        let (volume, offset) = (parts[n].volume, member.offset);
        format!("\"volume\":{volume},\"offset\":{offset},\"size\":{size}")
    };
    let more = written.part(0).len + 1;
    written.refused(
        &written.forge(|text| json(text, &of(0), &sized(0, more))),
        &place,
    );
    let moved = written.forge(|text| {
        let text = json(text, &of(0), &sized(0, written.part(0).len - 4096));
        json(&text, &of(1), &sized(1, written.part(1).len + 4096))
    });
    let said = written.say(&moved);
    assert!(said.iter().all(|text| !text.is_empty()), "{said:?}");
    // Offsets; those of other volumes are looked at when these are.
    for part in 0..3 {
        let member = written.part(part);
        let (offset, size) = (member.offset, member.len);
        let to = format!(
            "\"volume\":{},\"offset\":{},\"size\":{size}",
            part + 1,
            offset + 512
        );
        let said = written.say(&written.forge(|text| json(text, &of(part), &to)));
        let expect = format!(
            "is listed at offset {}, but found at {offset}",
            offset + 512
        );
        assert!(said[1].contains(&expect), "{part}: {said:?}");
        assert!(said[2].contains(&expect), "{part}: {said:?}");
    }
    // The digest of a part is wrong, and that of the whole right.
    let wrong = Digest::of(b"another");
    let middle = &parts[1].digest;
    let forged = written.forge(|text| text.replace(middle.as_str(), wrong.as_str()));
    let path = &written.part(1).path;
    let expect = format!("`{path}`: expected digest `{wrong}`, found `{middle}`");
    written.refused(&forged, &expect);
    // All parts are as listed, and are not the blob.
    let member = written.part(1);
    let range = usize::try_from(member.offset).unwrap()
        ..usize::try_from(member.offset + member.len).unwrap();
    let mut changed = written.volumes[1][range.clone()].to_vec();
    changed[77] ^= 1;
    let listed = Digest::of(&changed);
    let mut forged = written.forge(|text| text.replace(middle.as_str(), listed.as_str()));
    forged[1][range].copy_from_slice(&changed);
    let [_, verified, piped] = written.say(&forged);
    let joined = format!("blob `{digest}` of the bundle has digest");
    assert!(verified.contains(&joined), "{verified}");
    assert!(
        piped.contains(&format!("expected digest `{digest}`")),
        "{piped}"
    );
    // More volumes than there are, and fewer.
    for count in [2, 4] {
        let to = format!("\"volumes\":{count},");
        let said = written.say(&written.forge(|text| json(text, "\"volumes\":3,", &to)));
        assert!(
            said.iter().all(|text| !text.is_empty()),
            "{count}: {said:?}"
        );
    }
}

#[test]
fn volumes_that_are_not_what_they_are_called_are_refused() {
    let written = cut();
    let [first, second, third] = &written.volumes[..] else {
        panic!("three");
    };
    // Another number of the same bundle is found wherever it is; the one that is missing is named.
    let volumes = [first.clone(), first.clone(), third.clone()];
    let [placed, _, piped] = written.say(&volumes);
    assert!(
        placed.contains("1 of its 3 volumes is missing: 2"),
        "{placed}"
    );
    assert_eq!(piped, "expected volume 2, found volume 1");
    let [placed, _, piped] = written.say(&[first.clone(), third.clone(), second.clone()]);
    assert_eq!(placed, "", "any order will do for files");
    assert_eq!(piped, "expected volume 2, found volume 3");
    // One that says it is another.
    let layout = &written.layouts[1];
    let json = &layout.members()[0];
    let range =
        usize::try_from(json.offset).unwrap()..usize::try_from(json.offset + json.len).unwrap();
    let text = String::from_utf8(second[range.clone()].to_vec()).unwrap();
    let text = text.replace("\"index\":2", "\"index\":3");
    let mut liar = second.clone();
    liar[range].copy_from_slice(text.as_bytes());
    let lead = layout.lead(json, &Digest::of(text.as_bytes()));
    liar[..lead.len()].copy_from_slice(&lead);
    let said = written.say(&[first.clone(), liar.clone(), third.clone()]);
    assert!(said.iter().all(|text| !text.is_empty()), "{said:?}");
    // Of another bundle.
    let mut other = cut().sample;
    other.plan.name = "other".to_owned();
    let other = Written::new(other);
    let [placed, verified, piped] =
        written.say(&[first.clone(), other.volumes[1].clone(), third.clone()]);
    for text in [placed, verified, piped] {
        assert!(text.contains("is volume 2 of another bundle"), "{text}");
    }
    // One pass wants nothing behind the last.
    let [_, _, piped] = written.say(&[first.clone(), second.clone(), [&third[..], first].concat()]);
    assert!(piped.contains("there is data after it"), "{piped}");
}

/// A plan: the lengths of the layers of each image, and how large volumes may be.
fn plans() -> impl Strategy<Value = (Vec<Vec<usize>>, u64)> {
    let layers = proptest::collection::vec(
        prop_oneof![0_usize..5000, 60_000_usize..90_000, 100_000_usize..400_000],
        0..5,
    );
    (
        proptest::collection::vec(layers, 1..4),
        100_000_u64..500_000,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_packed_is_read_back((images, volume_size) in plans()) {
        let mut builder = Builder::new();
        for (at, layers) in images.iter().enumerate() {
            // Some are the same in several images.
            let layers: Vec<Vec<u8>> = layers.iter().map(|len| noise(*len as u64 % 7, *len)).collect();
            let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
            builder.image(&format!("a/{at}:1"), format!("{{\"n\":{at}}}").as_bytes(), &layers);
        }
        let mut sample = builder.finish();
        sample.plan.volume_size = Some(volume_size);
        let written = match sample.try_write("b.tar", Compression::Raw, 1) {
            Err(BundleError::VolumeTooSmall { size, enough }) => {
                prop_assert!(size == volume_size && enough > volume_size);
                return Ok(());
            }
            written => written.unwrap(),
        };
        let lens = sample.plan.lay_out().unwrap().lens();
        prop_assert!(lens.iter().all(|len| *len <= volume_size), "{:?}", lens);
        let again = sample.try_write("c.tar", Compression::Raw, 3).unwrap();
        let mut joined = Vec::new();
        for ((path, len), (other, _)) in written.files.iter().zip(&again.files) {
            let bytes = hod_fsx::read(path, u64::MAX / 2).unwrap();
            prop_assert_eq!(bytes.len() as u64, *len);
            prop_assert!(bytes == hod_fsx::read(other, u64::MAX / 2).unwrap());
            joined.extend(bytes);
        }
        let last = &written.files.last().unwrap().0;
        prop_assert_eq!(said_of(last), "");
        let bundle = Bundle::open(last, &ReadOptions::default()).unwrap();
        let mut blobs = Blobs::default();
        read_stream(&joined[..], Path::new("-"), &Trust::default(), BlobCheck::Sink, &mut blobs).unwrap();
        prop_assert_eq!(blobs.0.len(), sample.plan.blobs.len());
        for (digest, bytes) in blobs.0 {
            prop_assert!(digest.matches(&bytes));
            let mut placed = Vec::new();
            for range in bundle.open_blob(&digest).unwrap() {
                let len = usize::try_from(range.len).unwrap();
                placed.extend(hod_fsx::read_range(&range.file, &range.path, range.offset, len).unwrap());
            }
            prop_assert!(placed == bytes);
        }
    }
}
