//! Flips one bit of every byte of a small volume, and all bits of its headers: each must be
//! detected.
//!
//! To read the whole volume again for each of them would take minutes. So each is looked for where
//! the reader of a whole bundle looks for it, and nowhere else; that this one looks at all of these
//! places is shown by [`crate::tests::properties`].

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use super::sample::{Builder, Sample, noise};
use crate::format::volume::Member;
use crate::read::volume::{OpenVolume, open_file};
use crate::{Bundle, Compression, ReadOptions, SecretKey, Signer};
use hod_tarball::{END_LEN, Input, Mode};

const LAYER_LEN: usize = 9000;
/// Too small for both layers of the sample.
const VOLUME_SIZE: u64 = 40_960;

/// Two volumes, signed, with one of every kind of member but a part of a blob, which is one of a blob
/// to all that is tested here.
fn divided() -> Sample {
    let mut builder = Builder::new();
    builder.image(
        "a/b:1",
        b"{}",
        &[&noise(1, LAYER_LEN), &noise(2, LAYER_LEN)],
    );
    let mut sample = builder.finish();
    sample.plan.volume_size = Some(VOLUME_SIZE);
    let (key, _) = SecretKey::generate(None).unwrap();
    sample.plan.signer = Some(Signer::from_key(key));
    sample
}

/// A volume in which bits are flipped, and its original content.
struct Flipped<'a> {
    bundle: &'a Bundle,
    volume: &'a OpenVolume,
    file: File,
    good: Vec<u8>,
}

impl Flipped<'_> {
    /// Flips some bits of each byte in turn; `is_right` must see each of them.
    #[track_caller]
    fn each(
        &self,
        range: Range<u64>,
        bits: impl Fn(u64) -> Range<u8>,
        is_right: &dyn Fn() -> bool,
    ) {
        assert!(is_right(), "as it was written");
        let mut lost = Vec::new();
        for at in range {
            let good = self.good[usize::try_from(at).unwrap()];
            for bit in bits(at) {
                self.file.write_all_at(&[good ^ 1 << bit], at).unwrap();
                if is_right() {
                    lost.push((at, bit));
                }
            }
            self.file.write_all_at(&[good], at).unwrap();
        }
        assert!(lost.is_empty(), "not found: {lost:?}");
    }

    fn head_end(&self) -> u64 {
        self.volume.layout().members()[self.bundle.head().n_members()].lead_offset
    }

    /// The head, as it is read after that of another volume.
    fn head(&self, bits: fn(u64) -> Range<u8>) {
        self.each(0..self.head_end(), bits, &|| {
            let mut input = Input::of_range(open_file(self.volume.path()).unwrap(), Mode::Strict);
            self.bundle.head().read_next(&mut input, None).is_ok()
        });
    }

    /// Everything after the head: member by member, and the end.
    fn rest(&self) {
        let members = self.volume.layout().members().iter().enumerate();
        let mut end = self.head_end();
        for (at, member) in members.skip(self.bundle.head().n_members()) {
            assert_eq!(member.lead_offset, end, "nothing lies between members");
            end = member.end();
            let bits = |at| {
                if at < member.offset {
                    0..8
                } else {
                    one_bit(at)
                }
            };
            self.each(member.lead_offset..end, bits, &|| {
                let content = self
                    .volume
                    .check_content(member, self.bundle.manifest(), |_| ());
                content.is_ok() && self.volume.check_member(at).is_ok()
            });
        }
        let len = self.good.len() as u64;
        assert_eq!(end, len - END_LEN);
        self.each(end..len, |_| 0..8, &|| self.volume.check_end().is_ok());
    }
}

/// Another one of every byte.
fn one_bit(at: u64) -> Range<u8> {
    let bit = u8::try_from(at % 8).unwrap();
    bit..bit + 1
}

/// Flips bits in the second volume of the sample.
#[expect(clippy::disallowed_methods, reason = "a file is changed in place")]
fn flip(some: &dyn Fn(&Flipped<'_>)) {
    let sample = divided();
    let written = sample.try_write("b.tar", Compression::Raw, 1).unwrap();
    assert_eq!(written.files.len(), 2, "{:?}", written.files);
    let bundle = Bundle::open(&written.files[0].0, &ReadOptions::default()).unwrap();
    let volume = bundle.volumes().nth(1).unwrap();
    let path = volume.path();
    some(&Flipped {
        bundle: &bundle,
        volume,
        file: File::options().write(true).open(path).unwrap(),
        good: hod_fsx::read(path, u64::MAX / 2).unwrap(),
    });
}

#[test]
fn a_flipped_bit_of_any_byte_of_the_head_is_found() {
    flip(&|flipped| flipped.head(one_bit));
}

#[test]
fn every_flipped_bit_behind_the_head_is_found() {
    flip(&|flipped| {
        let is_layer = |member: &&Member| member.is_blob() && member.len == LAYER_LEN as u64;
        assert_eq!(
            flipped
                .volume
                .layout()
                .members()
                .iter()
                .filter(is_layer)
                .count(),
            1
        );
        flipped.rest();
    });
}
