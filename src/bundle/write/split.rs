//! Distributes files and blobs over volumes.
//!
//! Every volume starts with the same common part. The rest is packed into few volumes: blobs that
//! are larger than a volume are cut into parts in consecutive volumes; then each remaining blob,
//! largest first, goes into the first volume that has space. Links go into the last volume.

use crate::error::BundleError;
use crate::format::volume::Volume;
use crate::format::{BundleManifest, N_VOLUMES_MAX, Part, Placement};
use hod_oci::Digest;
use hod_tarball::{ALIGNMENT, END_LEN, padded};

/// Maximum length of the headers and padding before a blob or file.
const LEAD_LEN: u64 = 2 * ALIGNMENT;
/// Minimum length of a part, so that no volume gets only a few bytes of a blob.
const PART_LEN_MIN: u64 = 16 * ALIGNMENT;

/// The capacity of a volume besides the common part and the end.
#[derive(Debug, Clone, Copy)]
struct Capacity {
    /// Maximum length of a volume.
    volume_size: u64,
    /// Length of the common part.
    common: u64,
}

impl Capacity {
    fn bytes(self) -> u64 {
        let taken = self.common.saturating_add(END_LEN);
        self.volume_size.saturating_sub(taken)
    }

    fn check(self, needed: u64) -> Result<(), BundleError> {
        if needed <= self.bytes() {
            return Ok(());
        }
        Err(BundleError::VolumeTooSmall {
            size: self.volume_size,
            enough: needed.saturating_add(self.common).saturating_add(END_LEN),
        })
    }
}

/// A volume that is being filled.
#[derive(Debug, Clone, Copy)]
struct Bin {
    free: u64,
    /// Whether it ends with a part of a blob, which nothing may follow.
    is_closed: bool,
}

/// Assigns everything to one volume.
pub(crate) fn assign_to_one(manifest: &mut BundleManifest) {
    manifest.n_volumes = 1;
    for blob in &mut manifest.blobs {
        blob.place = if blob.is_manifest {
            Placement::Everywhere
        } else {
            Placement::Volume(1)
        };
    }
    for file in &mut manifest.files {
        file.volume = file.volume.map(|_| 1);
    }
}

/// Distributes everything over volumes of at most `volume_size` bytes, of which the common part
/// takes `common`; `single` is the layout as one volume.
///
/// The digests of parts are not known yet, and are zeros.
pub(crate) fn assign(
    manifest: &mut BundleManifest,
    single: &Volume,
    volume_size: u64,
    common: u64,
) -> Result<(), BundleError> {
    let capacity = Capacity {
        volume_size,
        common,
    };
    let empty = Bin {
        free: capacity.bytes(),
        is_closed: false,
    };
    let mut bins = vec![empty];
    // The tools, which the installer in the first volume runs, and other files.
    for file in manifest.files.iter().filter(|f| f.volume.is_some()) {
        capacity.check(cost(file.size))?;
        let tools = file.path.as_str().starts_with("hod/bin/");
        if tools {
            capacity.check(empty.free - bins[0].free + cost(file.size))?;
            bins[0].free -= cost(file.size);
        }
    }
    let links: u64 = single.links_len();
    capacity.check(links)?;
    for blob in manifest.blobs.iter_mut().filter(|blob| !blob.is_manifest) {
        if cost(blob.size) > capacity.bytes() {
            capacity.check(cost(PART_LEN_MIN))?;
            blob.place = Placement::Parts(cut(blob.size, &mut bins, empty)?);
        }
    }
    place_whole(manifest, &mut bins, empty);
    if bins.last().is_none_or(|bin| bin.free < links) {
        bins.push(empty);
    }
    manifest.n_volumes = number(bins.len() - 1);
    if manifest.n_volumes > N_VOLUMES_MAX {
        return Err(BundleError::TooManyVolumes {
            n_max: N_VOLUMES_MAX,
        });
    }
    Ok(())
}

/// Cuts a blob into parts that begin in the last of the volumes and continue in new ones.
fn cut(size: u64, bins: &mut Vec<Bin>, empty: Bin) -> Result<Vec<Part>, BundleError> {
    let mut parts = Vec::new();
    let mut left = size;
    while left > 0 {
        if bins.len() > N_VOLUMES_MAX as usize {
            return Err(BundleError::TooManyVolumes {
                n_max: N_VOLUMES_MAX,
            });
        }
        let last = bins.last_mut().expect("there is always one");
        // Whole blocks, so that the next part can be cloned too.
        let room = last.free.saturating_sub(LEAD_LEN) / ALIGNMENT * ALIGNMENT;
        if room < PART_LEN_MIN.min(left.next_multiple_of(ALIGNMENT)) {
            bins.push(empty);
            continue;
        }
        let len = left.min(room);
        left -= len;
        last.free -= cost(len).min(last.free);
        // A member after a part that continues, or beside a middle part, would be between two parts
        // in one pass.
        last.is_closed = left > 0 && !parts.is_empty();
        parts.push(Part {
            volume: number(bins.len() - 1),
            size: len,
            digest: unknown(),
        });
        if left > 0 {
            bins.push(empty);
        }
    }
    Ok(parts)
}

/// Assigns whole files and blobs, largest first, each to the first volume with enough space.
fn place_whole(manifest: &mut BundleManifest, bins: &mut Vec<Bin>, empty: Bin) {
    let mut whole: Vec<(u64, &mut u32)> = Vec::new();
    for file in &mut manifest.files {
        let is_tool = file.path.as_str().starts_with("hod/bin/");
        if let Some(volume) = &mut file.volume {
            *volume = 1;
            if !is_tool {
                whole.push((file.size, volume));
            }
        }
    }
    for blob in &mut manifest.blobs {
        if blob.is_manifest {
            blob.place = Placement::Everywhere;
        } else if !matches!(blob.place, Placement::Parts(_)) {
            blob.place = Placement::Volume(1);
        }
        if let Placement::Volume(volume) = &mut blob.place {
            whole.push((blob.size, volume));
        }
    }
    // Stable, so that blobs of equal size stay in the order of their digests.
    whole.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    for (size, volume) in whole {
        let cost = cost(size);
        let fits = |bin: &Bin| !bin.is_closed && bin.free >= cost;
        let at = bins.iter().position(fits).unwrap_or_else(|| {
            bins.push(empty);
            bins.len() - 1
        });
        bins[at].free = bins[at].free.saturating_sub(cost);
        *volume = number(at);
    }
}

/// Maximum length of a member with its headers and padding.
fn cost(len: u64) -> u64 {
    padded(len.min(u64::MAX / 4)) + LEAD_LEN
}

/// Returns the number of the volume with this index.
fn number(at: usize) -> u32 {
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}

fn unknown() -> Digest {
    format!("sha256:{}", "0".repeat(64))
        .parse()
        .expect("64 zeros are hex")
}
