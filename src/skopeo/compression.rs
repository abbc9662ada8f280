//! How layers are compressed at a destination.

use crate::convert::{Compressor, Layers};
use crate::failure::{Done, Failure};
use crate::target::Target;

/// The level of gzip that Go compresses with by default.
const GZIP_LEVEL: u32 = 6;
/// The same for zstd.
const ZSTD_LEVEL: i32 = 3;

/// How the layers are compressed at the destination.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct CompressionFlags {
    pub(crate) compress: bool,
    pub(crate) decompress: bool,
    pub(crate) format: Option<String>,
    pub(crate) level: Option<i64>,
    pub(crate) force_format: bool,
    pub(crate) oci_accept_uncompressed: bool,
}

impl CompressionFlags {
    fn compressor(&self) -> Done<Compressor> {
        let level = |default: i64, max: i64| -> Done<i64> {
            let level = self.level.unwrap_or(default);
            if (0..=max).contains(&level) {
                Ok(level)
            } else {
                Err(Failure::new(format!(
                    "compression level {level} is not between 0 and {max}"
                )))
            }
        };
        match self.format.as_deref() {
            None | Some("gzip") => Ok(Compressor::Gzip {
                level: u32::try_from(level(GZIP_LEVEL.into(), 9)?).unwrap_or(GZIP_LEVEL),
            }),
            Some("zstd" | "zstd:chunked") => Ok(Compressor::Zstd {
                level: i32::try_from(level(ZSTD_LEVEL.into(), 20)?).unwrap_or(ZSTD_LEVEL),
            }),
            Some(other) => Err(Failure::new(format!(
                "cannot find compressor for {}",
                hod_gotext::quote(other)
            ))),
        }
    }

    /// Checks the format, whatever the destination.
    pub(crate) fn check(&self) -> Done {
        self.compressor().map(drop)
    }

    /// What a destination does with layers.
    pub(crate) fn layers(&self, target: &Target) -> Done<Layers> {
        let compressor = self.compressor()?;
        Ok(match target {
            Target::Registry { .. } if self.force_format => Layers::Recompress(compressor),
            Target::Registry { .. } => Layers::Compress(compressor),
            Target::Dir(_) if self.compress => Layers::Compress(compressor),
            Target::Dir(_) if self.decompress => Layers::Unpack,
            Target::Oci { .. } | Target::OciArchive { .. } if self.format.is_some() => {
                Layers::Recompress(compressor)
            }
            Target::Oci { .. } | Target::OciArchive { .. } if !self.oci_accept_uncompressed => {
                Layers::Compress(compressor)
            }
            // Archives of `docker save` unpack by themselves.
            _ => Layers::Keep,
        })
    }
}
