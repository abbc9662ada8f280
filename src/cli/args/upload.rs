//! Flags for uploading blobs.

use clap::Args;

use super::size;
use hod_registry::CHUNK_LEN_DEFAULT;

#[derive(Debug, Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct UploadArgs {
    /// Upload larger blobs in chunks of this size, such as `16MiB`; 0 sends each blob in one request
    ///
    /// An interrupted push resumes after the last chunk that the registry has. If a proxy accepts only
    /// smaller requests (413), hod reduces the chunk size.
    #[arg(long, value_name = "SIZE", value_parser = parse_chunk_len,
          default_value_t = ChunkLen(CHUNK_LEN_DEFAULT))]
    pub(crate) chunk_size: ChunkLen,
}

/// The length of a chunk in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkLen(pub(crate) u64);

impl std::fmt::Display for ChunkLen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = self.0 / 1024 / 1024;
        if self.0 > 0 && self.0 == mib * 1024 * 1024 {
            write!(f, "{mib}MiB")
        } else {
            write!(f, "{}", self.0)
        }
    }
}

fn parse_chunk_len(text: &str) -> Result<ChunkLen, String> {
    match size::parse(text) {
        None => Err("expected a size such as `64MiB`, `512KiB` or `0`".to_owned()),
        Some(1..CHUNK_LEN_MIN) => Err(format!("a chunk is at least {} KiB", CHUNK_LEN_MIN / 1024)),
        Some(len) => Ok(ChunkLen(len)),
    }
}

/// Below this, the requests take longer than the bytes.
const CHUNK_LEN_MIN: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_chunks_parse() {
        #[track_caller]
        fn check(text: &str, expect: Option<u64>) {
            let actual = parse_chunk_len(text).ok().map(|len| len.0);
            assert_eq!(actual, expect, "{text}");
        }
        check("0", Some(0));
        check("64MiB", Some(64 << 20));
        check("90MB", Some(90_000_000));
        check("65536", Some(65536));
        check("65535", None);
        check("1B", None);
        check("", None);
        for len in [0, 1 << 20, 64 << 20, 65537] {
            let shown = ChunkLen(len).to_string();
            assert_eq!(parse_chunk_len(&shown), Ok(ChunkLen(len)), "{shown}");
        }
    }
}
