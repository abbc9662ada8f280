//! The second pass through a compressed archive.

use std::collections::HashMap;
use std::io::Read;
use std::ops::ControlFlow;

use super::{Blobs, Collection, CollectionError, MemberRange};
use hod_oci::Digest;
use hod_tarball::Reader;

impl Collection {
    /// Passes every blob to `take` in archive order, until it returns stop.
    ///
    /// Verifies nothing, and skips unread bytes of a blob.
    pub fn read_blobs(
        &self,
        take: &mut dyn FnMut(&Digest, &mut dyn Read) -> ControlFlow<()>,
    ) -> Result<(), CollectionError> {
        let Blobs::Sequential { volumes, places } = &self.blobs else {
            return Ok(());
        };
        let of_place =
            |(digest, place): (_, &MemberRange)| ((place.volume, place.member.clone()), digest);
        let by_place: HashMap<(usize, Box<str>), &Digest> = places.iter().map(of_place).collect();
        for (at, path) in volumes.iter().enumerate() {
            let mut reader = Reader::open(path)?;
            while let Some(member) = reader.next_member()? {
                let Some(digest) = by_place.get(&(at, member.path.as_str().into())) else {
                    continue;
                };
                if take(digest, &mut reader).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
