//! The OCI and Docker registry vocabulary as types: a value that exists is valid.
//!
//! Pure: no I/O, no clock, no environment. Text is parsed once, here; everything above carries the
//! types. Follows the OCI image-spec 1.1 and distribution-spec 1.1, and Docker's reference grammar.

mod config;
mod descriptor;
mod digest;
mod manifest;
mod media_type;
mod platform;
mod reference;
mod referrers;
mod schema1;
mod verifier;

pub use config::{ImageConfig, diff_ids};
pub use descriptor::{Descriptor, ForeignLayers, sum_len};
pub use digest::{Algorithm, Digest, DigestError, DigestHasher};
pub use manifest::{
    ImageManifest, IndexEntry, IndexManifest, MANIFEST_LEN_MAX, Manifest, ManifestBody,
    ManifestError,
};
pub use media_type::{MediaType, MediaTypeKind};
pub use platform::{Platform, PlatformChoice, PlatformError};
pub use reference::{Reference, ReferenceError, Registry, RepositoryName, Tag};
pub use referrers::{
    ReferrerEntry, ReferrerMode, ReferrerTag, ReferrerTagKind, referrers_index, with_referrers,
};
pub use schema1::{SchemaOneError, signed_payload};
pub use verifier::{ContentMismatch, Verifier};
