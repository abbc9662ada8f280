//! Compressed layers of a `docker save` archive: what they are as stored, and what they unpack to.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hod_oci::{Algorithm, Digest, DigestHasher};
use hod_tarball::{Compression, decoder};

/// How many bytes all layers of an archive may unpack to, however short they are.
const FREE_LEN: u64 = 64 * 1024 * 1024 * 1024;
/// The additional bytes per stored byte: gzip compresses at most 1032 to 1.
const RATIO_MAX: u64 = 1100;

/// A member that is compressed.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    pub(super) compression: Compression,
    /// Its digest, as stored.
    pub(super) stored: Digest,
    /// The digest of what it unpacks to.
    pub(super) unpacked: Result<Digest, UnpackFault>,
}

/// Why a member cannot be unpacked.
#[derive(Debug, Clone)]
pub(super) enum UnpackFault {
    Stream(Arc<io::Error>),
    /// It unpacks to more than is allowed.
    TooLong,
}

/// The number of bytes that the layers of an archive may still unpack to.
///
/// It grows with what is read of them, so that a small archive cannot keep hod busy for hours.
#[derive(Debug)]
pub(super) struct Allowance(u64);

impl Default for Allowance {
    fn default() -> Self {
        Self(FREE_LEN)
    }
}

impl Allowance {
    /// Hashes what `read` puts into the buffers that it is given, until it puts nothing, and what
    /// that unpacks to, by `algorithm`. Needs the memory of the decoder only.
    pub(super) fn unpack<E: Send>(
        &mut self,
        algorithm: Algorithm,
        read: impl FnMut(&mut [u8]) -> Result<usize, E> + Send,
    ) -> Result<Packed, E> {
        let earned = AtomicU64::new(self.0);
        let mut stored = Stored {
            read,
            hasher: DigestHasher::new(Algorithm::Sha256),
            earned: &earned,
            error: None,
        };
        let mut compression = Compression::None;
        let mut len: u64 = 0;
        let unpacked = decoder(&mut stored).and_then(|(found, mut content)| {
            compression = found;
            Digest::of_all(algorithm, |buffer| {
                let n = content.read(buffer)?;
                len = len.saturating_add(n as u64);
                if len > earned.load(Ordering::Relaxed) {
                    return Err(io::ErrorKind::QuotaExceeded.into());
                }
                Ok(n)
            })
        });
        // The bytes after the position where the decoder failed belong to the member, too.
        if stored.error.is_none() {
            let _ = io::copy(&mut stored, &mut io::sink());
        }
        let Stored { hasher, error, .. } = stored;
        if let Some(error) = error {
            return Err(error);
        }
        self.0 = earned.into_inner().saturating_sub(len);
        Ok(Packed {
            compression,
            stored: hasher.finish(),
            unpacked: match unpacked {
                Ok((digest, _)) => Ok(digest),
                Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                    Err(UnpackFault::TooLong)
                }
                Err(error) => Err(UnpackFault::Stream(Arc::new(error))),
            },
        })
    }
}

/// Hashes and counts a member while it is read; keeps the error that ends it.
struct Stored<'a, F, E> {
    read: F,
    hasher: DigestHasher,
    earned: &'a AtomicU64,
    error: Option<E>,
}

impl<F: FnMut(&mut [u8]) -> Result<usize, E>, E> Read for Stored<'_, F, E> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.read)(buffer) {
            Ok(n) => {
                self.hasher.update(&buffer[..n]);
                let more = (n as u64).saturating_mul(RATIO_MAX);
                self.earned.fetch_add(more, Ordering::Relaxed);
                Ok(n)
            }
            Err(error) => {
                self.error = Some(error);
                Err(io::ErrorKind::Other.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write as _;

    use super::*;

    fn unpack(allowance: &mut Allowance, mut bytes: &[u8]) -> Packed {
        let read = |buffer: &mut [u8]| Ok::<_, Infallible>(bytes.read(buffer).unwrap());
        allowance.unpack(Algorithm::Sha256, read).unwrap()
    }

    #[test]
    fn what_is_unpacked_is_limited_over_all_layers() {
        let zeros = vec![0; 20_000_000];
        let zstd = zstd::encode_all(&zeros[..], 3).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&zeros).unwrap();
        let gzip = encoder.finish().unwrap();
        assert!(zstd.len() as u64 * RATIO_MAX < 5_000_000, "{}", zstd.len());

        let mut allowance = Allowance(25_000_000);
        let packed = unpack(&mut allowance, &zstd);
        assert_eq!(packed.unpacked.unwrap(), Digest::of(&zeros));
        let packed = unpack(&mut allowance, &zstd);
        assert!(matches!(packed.unpacked, Err(UnpackFault::TooLong)));
        assert_eq!(packed.stored, Digest::of(&zstd));
        // What gzip can do at best is never too much.
        let packed = unpack(&mut allowance, &gzip);
        assert_eq!(packed.unpacked.unwrap(), Digest::of(&zeros));
        assert_eq!(packed.stored, Digest::of(&gzip));
    }
}
