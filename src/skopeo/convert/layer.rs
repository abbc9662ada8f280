//! One layer, compressed in another way: its bytes, and so its digest, are known only when all of it
//! was compressed.

use std::io::{self, Read, Write};
use std::path::Path;

use futures_util::StreamExt as _;
use hod_oci::{Algorithm, Descriptor, Digest, DigestHasher, MediaType, Verifier};
use hod_tarball::{Compression, decoder};
use hod_transfer::{BlobContent, TransferError};
use tempfile::{NamedTempFile, TempPath};

use super::manifest::Kind;
use crate::failure::{Done, Failure};
use crate::source::OpenImage;
use crate::wording;

/// How much is compressed at once.
const CHUNK_LEN: usize = 256 * 1024;

/// What a destination does with layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layers {
    /// As they are.
    Keep,
    /// Uncompressed ones are compressed.
    Compress(Compressor),
    /// All are compressed in this way.
    Recompress(Compressor),
    /// All are uncompressed.
    Unpack,
}

/// A program-wide choice of how to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compressor {
    Gzip { level: u32 },
    Zstd { level: i32 },
}

/// What is done with a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerChange {
    Compress(Compressor),
    Unpack,
}

/// The result, in a temporary file.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) file: TempPath,
    pub(crate) digest: Digest,
    pub(crate) len: u64,
    pub(crate) media_type: MediaType,
}

impl Compressor {
    fn media_type(self) -> &'static str {
        match self {
            Self::Gzip { .. } => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd { .. } => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    fn compression(self) -> Compression {
        match self {
            Self::Gzip { .. } => Compression::Gzip,
            Self::Zstd { .. } => Compression::Zstd,
        }
    }
}

impl LayerChange {
    /// What a destination does with this layer; `None` if it takes it as it is.
    pub(crate) async fn of(
        image: &OpenImage,
        layers: Layers,
        layer: &Descriptor,
    ) -> Done<Option<Self>> {
        // Of anything else it is not known what it is.
        let is_layer = Kind::Oci.layer(layer.media_type.as_str()).is_ok();
        if layers == Layers::Keep || !is_layer || layer.is_foreign() {
            return Ok(None);
        }
        let found = compression(image, layer).await?;
        Ok(match layers {
            Layers::Compress(compressor) if found == Compression::None => {
                Some(Self::Compress(compressor))
            }
            Layers::Recompress(compressor) if found != compressor.compression() => {
                Some(Self::Compress(compressor))
            }
            Layers::Unpack if found != Compression::None => Some(Self::Unpack),
            _ => None,
        })
    }

    /// Makes the layer. The bytes of the source are verified on the way.
    pub(crate) async fn run(
        self,
        image: &OpenImage,
        layer: &Descriptor,
        tmpdir: &Path,
    ) -> Done<Changed> {
        let content = image.source.open_blob(&image.location, layer).await;
        let content = content.map_err(|error| wording::of_transfer(&error))?;
        let (dir, verifier) = (tmpdir.to_owned(), Verifier::from(layer));
        let work = move |pieces: &mut hod_transfer::Pieces| {
            let file = tempfile::Builder::new().prefix("hod-").tempfile_in(&dir);
            let written = file.and_then(|file| self.write(&mut *pieces, verifier, file));
            match pieces.take_failure() {
                Some(error) => Err(wording::of_transfer(&error)),
                None => {
                    written.map_err(|error| Failure::new(format!("compressing a layer: {error}")))
                }
            }
        };
        content.pour(|_| {}, work).await
    }

    fn write(
        self,
        input: impl Read + Send,
        verifier: Verifier,
        file: NamedTempFile,
    ) -> io::Result<Changed> {
        let mut input = Verified {
            input,
            verifier: Some(verifier),
        };
        let mut output = Hashed {
            file,
            hasher: DigestHasher::new(Algorithm::Sha256),
            len: 0,
        };
        let media_type = {
            let (_, mut content) = decoder(&mut input)?;
            match self {
                Self::Unpack => {
                    copy(&mut content, &mut output)?;
                    "application/vnd.oci.image.layer.v1.tar"
                }
                Self::Compress(compressor) => {
                    compress(compressor, &mut content, &mut output)?;
                    compressor.media_type()
                }
            }
        };
        // What follows the end of the compressed stream belongs to the blob.
        copy(&mut input, &mut io::sink())?;
        let Hashed {
            mut file,
            hasher,
            len,
        } = output;
        file.flush()?;
        Ok(Changed {
            file: file.into_temp_path(),
            digest: hasher.finish(),
            len,
            media_type: MediaType::new(media_type),
        })
    }
}

fn compress(
    compressor: Compressor,
    content: &mut impl Read,
    output: &mut impl Write,
) -> io::Result<()> {
    match compressor {
        Compressor::Gzip { level } => {
            let level = flate2::Compression::new(level);
            let mut encoder = flate2::write::GzEncoder::new(output, level);
            copy(content, &mut encoder)?;
            encoder.finish()?;
        }
        Compressor::Zstd { level } => {
            let mut encoder = zstd::Encoder::new(output, level)?;
            copy(content, &mut encoder)?;
            encoder.finish()?;
        }
    }
    Ok(())
}

fn copy(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_LEN];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => output.write_all(&buffer[..n])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Compares what is read with the digest and the length that were announced.
struct Verified<R> {
    input: R,
    /// `None` at the end.
    verifier: Option<Verifier>,
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        let Some(mut verifier) = self.verifier.take() else {
            return Ok(n);
        };
        if n == 0 && !buffer.is_empty() {
            verifier.finish().map_err(io::Error::other)?;
            return Ok(0);
        }
        verifier.update(&buffer[..n]).map_err(io::Error::other)?;
        self.verifier = Some(verifier);
        Ok(n)
    }
}

/// Hashes and counts what is written.
struct Hashed {
    file: NamedTempFile,
    hasher: DigestHasher,
    len: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.len += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// How a layer is compressed: of local files by the first bytes, since types there lie, of registries
/// by its type.
async fn compression(image: &OpenImage, layer: &Descriptor) -> Done<Compression> {
    if image.source.is_remote() {
        let media_type = layer.media_type.as_str();
        return Ok(if media_type.ends_with("gzip") {
            Compression::Gzip
        } else if media_type.ends_with("zstd") {
            Compression::Zstd
        } else {
            Compression::None
        });
    }
    let content = image.source.open_blob(&image.location, layer).await;
    let content = content.map_err(|error| wording::of_transfer(&error))?;
    let mut start = Vec::new();
    let mut stream = match content {
        BlobContent::File(range) => BlobContent::File(hod_fsx::FileRange {
            len: range.len.min(Compression::MAGIC_LEN as u64),
            ..range
        })
        .into_stream(),
        content @ BlobContent::Stream(..) => content.into_stream(),
    };
    while start.len() < Compression::MAGIC_LEN
        && let Some(bytes) = stream.next().await
    {
        let bytes = bytes.map_err(|error: TransferError| wording::of_transfer(&error))?;
        start.extend_from_slice(&bytes);
    }
    Ok(Compression::of(&start))
}
