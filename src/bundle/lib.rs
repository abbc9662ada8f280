//! The bundle, format 1: one tar, or several, that carry images over an air gap.
//!
//! This page, with those of `format/json.rs` and `src/tarball/header.rs`, describes every byte, so that another reader
//! or writer can be written from it. `fixtures/bundles/v1` has bundles for testing one.
//!
//! # Volumes
//!
//! A bundle is `NAME.tar`, or several volumes, `NAME.001.tar`, `NAME.002.tar` and so on: at least
//! three digits, and as many as the highest number needs. Names are for finding them; which volume a
//! file is, it says itself. Every volume is a valid tar, in which members come in this order:
//!
//! ```text
//! hod/volume.json           this volume: which one it is, and its members
//! hod/bundle.json           the bundle: what is carried, and where
//! hod/bundle.json.minisig   only where bundle.json has `signed_by`
//! common files              the `files` without a `volume`: README.txt, install.sh and the like
//! manifests                 the `blobs` with `manifest`
//! -- up to here each member lies at the same offset in all volumes, and all but volume.json are equal
//! own files                 the `files` with this `volume`: the tools in hod/bin/, whatever else
//! a part that continues     of a blob that began in the volume before
//! whole blobs               the `blobs` with this `volume`
//! a part that begins        of a blob that goes on in the next volume
//! links, marker directories in the last volume
//! 2 x 512 zeros             the end; nothing follows
//! ```
//!
//! Files are sorted by path, blobs by digest as text, links and directories by path, all by their
//! bytes. Content is padded with zeros to whole blocks of 512 bytes. The content of blobs and of
//! parts is aligned to 4096 bytes by a comment before their header (see `src/tarball/header.rs`);
//! everything else follows its predecessor without a gap. The mtime of all members is `created`. A
//! note before `hod/volume.json`, always, has the text `hod bundle; hod/volume.json has the digest
//! ALG:HEX`.
//!
//! So each offset and each header follows from `hod/bundle.json` and the lengths of the two json
//! files. A writer knows all of them before the first byte. A reader computes them again and
//! refuses every deviation by the name of the member: one that is not listed, duplicated or
//! missing, a link, a device, another owner, bytes in the padding. Then only the id in
//! `hod/bundle.json`, or its signature, has to be trusted, and content is verified by its digest.
//!
//! # The tree
//!
//! Untarred into the root of a registry, a bundle is that registry's storage (distribution's
//! filesystem driver), below `docker/registry/v2`; `ALG/HEX` is a digest `ALG:HEX`:
//!
//! ```text
//! blobs/ALG/HE/HEX/data                                    a blob
//! blobs/ALG/HE/HEX/data.001                                a part of one, the first
//! repositories/NAME/_layers/                               a directory, which may hold nothing
//! repositories/NAME/_layers/ALG/HEX/link                   for each of an image's `blobs`
//! repositories/NAME/_manifests/                            a directory
//! repositories/NAME/_manifests/revisions/ALG/HEX/link      for each of an image's `manifests`
//! repositories/NAME/_manifests/tags/TAG/index/ALG/HEX/link for its `digest`, if it has a `tag`
//! repositories/NAME/_manifests/tags/TAG/current/link       likewise
//! ```
//!
//! A link file holds `ALG:HEX` without a line break. Blobs of the base have links, too.
//!
//! # Parts
//!
//! A blob that does not fit any volume is cut; its parts are in consecutive volumes. At most one
//! part continues from a volume into the next, and a volume in the middle of a blob has no other
//! blobs. So consecutive volumes contain consecutive parts, and `cat data.* > data` joins them
//! after untarring: part numbers have at least three digits, and all as many as the number of parts
//! needs. Each part has its digest, so that a volume can be checked separately, and the whole blob
//! has its own. This writer makes all parts but the last a multiple of 4096 bytes; a reader does
//! not require that.
//!
//! # The base
//!
//! A bundle may contain less than its images need: `base` lists configs and layers, never
//! manifests, that its target must have. Each of an image's `blobs` is in `blobs` or in `base`.
//! `held` says where it was when the bundle was packed, which is used only in messages when it is
//! missing.
//!
//! # The signature
//!
//! `hod/bundle.json.minisig` is a minisign signature, prehashed, of the bytes of `hod/bundle.json`,
//! which has the digest of all else; of `hod/volume.json` too, since that follows from it.
//! `signed_by` is the id of the key, a claim. A bundle without `signed_by` has no signature.
//!
//! # Compression
//!
//! `NAME.tar.zst` is the same tar as zstd frames, with a window of at most 16 MiB; this writer makes
//! no compressed volumes. Whether something is compressed is told by its first four bytes.
//!
//! # One pass
//!
//! From a pipe, volumes come one after the other in order, as `cat NAME.*.tar` writes them, raw or
//! compressed as one. The manifests come before other blobs, so that everything to come is known
//! beforehand.
//!
//! # Versions
//!
//! - `format` is 1 in both json files, and is looked at before anything else in them. Another one is
//!   refused by its number.
//! - `encoding` of a blob is `raw`: the bytes of the tar are the blob. Another one is refused by its
//!   name.
//! - Unknown fields are ignored. Format 1 may get new ones, if ignoring them is correct: they must
//!   not make today's readers do harm.
//! - Everything in a tar is listed in `files` or `blobs`, or follows from `images`. New files may
//!   be added, new members of another kind may not.
//! - The order of members, their headers, the alignment, and the meaning of fields that are there do
//!   not change. What would change any of them is format 2.
//!
//! # Limits
//!
//! At most 9999 volumes; json files of 64 MiB, signatures of 4 KiB, manifests of 4 MiB; paths of 1024
//! bytes, in components of 255; names, versions and other texts for people of 255 bytes without
//! control characters. Paths are relative, of components that are neither empty nor `.` or `..`,
//! without backslashes or control characters; no file lies at or below `docker`, at the json files or
//! the signature, or where another is a directory.
//!
//! # The code
//!
//! Nothing here knows a store: blobs are
//! put into a [`BundleWriter`], and go to a [`StreamSink`] or are read in place.

mod error;
mod format;
mod hashing;
mod read;
mod receipt;
mod sign;
mod write;

#[cfg(test)]
mod tests;

pub use error::{BlobProblem, BundleError, ImageProblem, MemberProblem};
pub use format::volume_name::volume_path;
pub use format::{
    BaseBlob, BaseOrigin, BundleBlob, BundleFileEntry, BundleImage, BundleManifest, Delta, Held,
    OriginKind, Part, Placement,
};
pub use hod_tarball::{EntryPath, EntryPathError};
pub use read::{
    BlobCheck, Bundle, BundleKind, BundleVerifyOutcome, Partial, ReadOptions, StreamSink,
    VerifyOptions, fold_volumes, read_stream, stale_volumes, verify, verify_once,
};
pub use receipt::{RECEIPT_LEN_MAX, Receipt, ReceiptError};
pub use sign::{
    KEY_LEN_MAX, KeyError, KeyId, Password, PublicKey, SIGNATURE_LEN, SecretKey, SignError,
    SignHelper, SignatureError, Signed, Signer, Trust,
};
pub use write::{
    BundleFile, BundleWriter, Compression, CopyContext, FileContent, IncomingBlob, NoCache,
    PackBlob, PackPlan, Planned, PlannedFile, VerificationCache, WriteOptions, WriteOutcome,
    checksum_files,
};
