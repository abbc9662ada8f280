//! Compressed streams, told by their first bytes.

use std::io::{self, BufRead, BufReader, Read};

/// What a gzip member starts with.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// What a zstd frame starts with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest window that is decompressed, 128 MiB: what `zstd` itself takes without being told.
const WINDOW_LOG_MAX: u32 = 27;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// How many bytes [`Compression::of`] looks at.
    pub const MAGIC_LEN: usize = ZSTD_MAGIC.len();

    /// Looks at the first bytes of a stream.
    pub fn of(start: &[u8]) -> Self {
        if start.starts_with(&GZIP_MAGIC) {
            Self::Gzip
        } else if start.starts_with(&ZSTD_MAGIC) {
            Self::Zstd
        } else {
            Self::None
        }
    }
}

/// Decompresses `input`, if its first bytes say that it is compressed.
pub fn decoder<'a>(
    input: impl Read + Send + 'a,
) -> io::Result<(Compression, Box<dyn Read + Send + 'a>)> {
    let mut input = BufReader::with_capacity(64 * 1024, input);
    let compression = Compression::of(input.fill_buf()?);
    Ok((compression, decoder_of(compression, input)?))
}

/// Decompresses `input`, which is compressed in this way. Frames and members that follow each
/// other are one stream.
pub fn decoder_of<'a>(
    compression: Compression,
    input: impl BufRead + Send + 'a,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input)?;
            decoder.window_log_max(WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    })
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
        let frame = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        check(&frame(b"one"), (Compression::Zstd, b"one"));
        let two = [frame(b"one"), frame(b"two")].concat();
        check(&two, (Compression::Zstd, b"onetwo"));
    }
}
