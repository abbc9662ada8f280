//! Compressed streams, told by their first bytes.

use std::io::{self, BufRead, BufReader, Read};

use hod_report::amount::format_len;
use hod_report::{Diagnose, Diagnosis, ErrorClass};

/// The first bytes of a gzip member.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// The first bytes of a zstd frame.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The first bytes of a zstd frame without data, as `pzstd` begins a file: all but the lowest four bits
/// of the first byte.
const SKIPPABLE_MAGIC: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// The first bytes of an xz stream.
const XZ_MAGIC: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];
/// The first bytes of a bzip2 stream.
const BZIP2_MAGIC: [u8; 3] = *b"BZh";
/// The logarithm of the largest window of a layer, 128 MiB: the default maximum of `zstd`.
const WINDOW_LOG_MAX: u32 = 27;

/// The number of the error in zstd's interface.
const WINDOW_TOO_LARGE: usize = 16;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

impl Compression {
    /// How many bytes [`Compression::of`] looks at.
    pub const MAGIC_LEN: usize = XZ_MAGIC.len();

    /// Looks at the first bytes of a stream.
    pub fn of(start: &[u8]) -> Self {
        if start.starts_with(&GZIP_MAGIC) {
            Self::Gzip
        } else if start.starts_with(&ZSTD_MAGIC) || is_skippable(start) {
            Self::Zstd
        } else if start.starts_with(&XZ_MAGIC) {
            Self::Xz
        } else if start.starts_with(&BZIP2_MAGIC) {
            Self::Bzip2
        } else {
            Self::None
        }
    }

    /// Whether layers may be compressed so: they have media types for gzip and zstd only.
    pub fn is_of_layers(self) -> bool {
        matches!(self, Self::Gzip | Self::Zstd)
    }
}

/// Whether a stream starts with a skippable frame.
fn is_skippable(start: &[u8]) -> bool {
    let [first, rest @ ..] = start else {
        return false;
    };
    first & 0xf0 == SKIPPABLE_MAGIC[0] && rest.starts_with(&SKIPPABLE_MAGIC[1..])
}

/// Decompresses `input`, if its first bytes are those of a known compression.
pub fn decoder<'a>(
    input: impl Read + Send + 'a,
) -> io::Result<(Compression, Box<dyn Read + Send + 'a>)> {
    let mut input = BufReader::with_capacity(64 * 1024, input);
    let compression = Compression::of(input.fill_buf()?);
    Ok((compression, decoder_of(compression, input, WINDOW_LOG_MAX)?))
}

/// Decompresses `input`, which is compressed in this way, in a window of at most two to the power
/// of `window_log_max` bytes. Frames and members that follow each other are one stream.
pub(super) fn decoder_of<'a>(
    compression: Compression,
    input: impl BufRead + Send + 'a,
    window_log_max: u32,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(Members {
            decoder: Some(flate2::bufread::GzDecoder::new(input)),
        }),
        Compression::Xz => Box::new(lzma_rust2::XzReader::new(input, true)),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input)?;
            decoder.window_log_max(window_log_max)?;
            Box::new(Frames {
                decoder,
                window_log_max,
            })
        }
    })
}

/// A zstd stream that can only be decompressed with more memory than it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its zstd window is too large: at most {} is supported", format_len(1 << self.log_max))]
pub struct WindowTooLarge {
    /// The logarithm of the largest accepted window.
    pub log_max: u32,
}

impl WindowTooLarge {
    /// The reason of an error of a decoder, if it is this one.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl Diagnose for WindowTooLarge {
    fn diagnose(&self) -> Diagnosis {
        // hod writes no such stream: a bit may be flipped.
        Diagnosis::new(ErrorClass::Verify).hint(
            "It was compressed with `zstd --long` or `--ultra`. Compress it again without them: \
             `zstd -dc --long=31 OLD.tar.zst | zstd -o NEW.tar.zst`.",
        )
    }
}

/// The frames of a zstd file as one stream.
struct Frames<R: BufRead> {
    decoder: zstd::Decoder<'static, R>,
    window_log_max: u32,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| {
            // The crate has errors of zstd as their texts.
            let code = 0_usize.wrapping_sub(WINDOW_TOO_LARGE);
            if error.to_string() != zstd::zstd_safe::get_error_name(code) {
                return error;
            }
            let log_max = self.window_log_max;
            io::Error::new(io::ErrorKind::InvalidInput, WindowTooLarge { log_max })
        })
    }
}

/// The members of a gzip file as one stream. Zeros behind one are padding, as for `gzip` itself.
struct Members<R> {
    /// `None` at the end.
    decoder: Option<flate2::bufread::GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut decoder) = self.decoder.take() {
            let result = decoder.read(buffer);
            if !matches!(result, Ok(0)) || buffer.is_empty() {
                self.decoder = Some(decoder);
                return result;
            }
            match skip_zeros(decoder.get_mut()) {
                Ok(false) => {}
                Ok(true) => {
                    let next = flate2::bufread::GzDecoder::new(decoder.into_inner());
                    self.decoder = Some(next);
                }
                Err(error) => {
                    self.decoder = Some(decoder);
                    return Err(error);
                }
            }
        }
        Ok(0)
    }
}

/// Passes over zeros; returns whether anything comes behind them.
fn skip_zeros(input: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        let n_zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        if n_zeros < bytes.len() || bytes.is_empty() {
            let is_more = !bytes.is_empty();
            input.consume(n_zeros);
            return Ok(is_more);
        }
        input.consume(n_zeros);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn streams_are_decompressed_as_their_first_bytes_say() {
        #[track_caller]
        fn check(stored: &[u8], expect: (Compression, &[u8])) {
            let (compression, mut content) = decoder(stored).unwrap();
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).unwrap();
            assert_eq!((compression, &bytes[..]), expect);
        }
        check(b"", (Compression::None, b""));
        check(b"\x1f\x8b", (Compression::None, b"\x1f\x8b"));
        check(b"plain", (Compression::None, b"plain"));
        check(&gzip(b"one"), (Compression::Gzip, b"one"));
        let two = [gzip(b"one"), gzip(b"two")].concat();
        check(&two, (Compression::Gzip, b"onetwo"));
        let padded = [gzip(b"one"), vec![0; 100_000], gzip(b"two"), vec![0; 512]].concat();
        check(&padded, (Compression::Gzip, b"onetwo"));
        let frame = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        check(&frame(b"one"), (Compression::Zstd, b"one"));
        let two = [frame(b"one"), frame(b"two")].concat();
        check(&two, (Compression::Zstd, b"onetwo"));
        for first in 0x50..=0x5f {
            let skippable = [first, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
            let parts = [&skippable, &frame(b"one")[..], &skippable, &frame(b"two")].concat();
            check(&parts, (Compression::Zstd, b"onetwo"));
        }
        for plain in [b"\x4f\x2a\x4d\x18", b"\x60\x2a\x4d\x18"] {
            check(plain, (Compression::None, plain));
        }
    }

    /// A frame of `bytes`, which are few, that asks for a window of two to the power of `log`.
    fn frame_with_window(log: u8, bytes: &[u8]) -> Vec<u8> {
        let block = 1 | u32::try_from(bytes.len()).unwrap() << 3;
        let head = [
            &ZSTD_MAGIC[..],
            &[0, (log - 10) << 3],
            &block.to_le_bytes()[..3],
        ];
        [&head.concat(), bytes].concat()
    }

    #[test]
    fn a_window_that_is_too_large_is_told_from_damage() {
        let read = |stored: &[u8]| {
            let mut bytes = Vec::new();
            let (_, mut content) = decoder(stored).unwrap();
            content.read_to_end(&mut bytes).map(|_| bytes)
        };
        assert_eq!(read(&frame_with_window(27, b"one")).unwrap(), b"one");
        for log in [28, 31] {
            let error = read(&frame_with_window(log, b"one")).unwrap_err();
            let expected = WindowTooLarge { log_max: 27 };
            assert_eq!(WindowTooLarge::of(&error), Some(expected), "{log}: {error}");
        }
        let garbled = [&ZSTD_MAGIC[..], &[0x5a; 40]].concat();
        assert_eq!(WindowTooLarge::of(&read(&garbled).unwrap_err()), None);
    }

    #[test]
    fn what_follows_a_member_and_is_neither_a_member_nor_zeros_is_an_error() {
        for tail in [&b"x"[..], b"\0\0x", b"\x1f\x8b\x08"] {
            let bytes = [&gzip(b"one"), tail].concat();
            let (_, mut content) = decoder(&bytes[..]).unwrap();
            assert!(content.read_to_end(&mut Vec::new()).is_err(), "{tail:?}");
        }
    }
}
