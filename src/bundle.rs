//! The bundle, format 1: one tar that carries images over an air gap.
//!
//! ```text
//! hod/volume.json     every member with offset, length, digest; its own digest is in the header
//! hod/bundle.json     what is carried: images, blobs, files; its id names every byte
//! README.txt …        files for people
//! docker/registry/v2  the storage of a registry: blobs, each on a 4096-byte boundary, then links
//! ```
//!
//! Untarred into the root of a registry, it is that registry's storage. The tar is the same, byte
//! for byte, whenever the same is packed; and as it follows from `hod/bundle.json` alone, whatever
//! is not as it follows is refused, by the name of the member. `*.tar.zst` is the same tar as one
//! zstd stream.
//!
//! The only user of `tar` and `zstd`. Nothing here knows a store: blobs come from a function, and
//! go to a [`StreamSink`] or are read in place.

mod check;
mod checksums;
mod closure;
mod copy;
mod entry_path;
mod error;
mod format;
mod hashing;
mod head;
mod header;
mod input;
mod intruder;
mod json;
mod plan;
mod reader;
mod receipt;
mod siblings;
mod sign;
mod split;
mod stream;
mod verify;
mod volume;
mod writer;

#[cfg(test)]
mod divided;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod sample;

pub use checksums::checksum_files;
pub use entry_path::{EntryPath, EntryPathError};
pub use error::{BlobProblem, BundleError, ImageProblem, MemberProblem};
pub use format::{
    BaseBlob, BundleBlob, BundleFileEntry, BundleImage, BundleManifest, Held, Origin, OriginKind,
    Part, Place,
};
pub use plan::{BundleFile, FileContent, PackBlob, PackPlan};
pub use reader::{Bundle, BundleKind, ReadOptions};
pub use receipt::{RECEIPT_LEN_MAX, Receipt, ReceiptError};
pub use siblings::volume_path;
pub use sign::{
    KEY_LEN_MAX, KeyError, KeyId, Password, PublicKey, SIGNATURE_LEN, SecretKey, SignError,
    SignHelper, SignatureError, Signed, Signer, Trust,
};
pub use stream::{BlobCheck, StreamSink, read_stream};
pub use verify::{BundleVerifyOutcome, VerifyOptions, verify};
pub use writer::{Compression, OpenBlob, WriteOptions, WriteOutcome, planned_lens, write};
