//! The format: what a bundle says of itself, as types and as bytes, and where each byte lies.
//!
//! Nothing here reads or writes a file.

pub(crate) mod check;
pub(crate) mod closure;
mod delta;
pub(crate) mod json;
mod manifest;
pub(crate) mod paths;
pub(crate) mod volume;
pub(crate) mod volume_name;

pub use delta::Delta;
pub(crate) use manifest::N_VOLUMES_MAX;
pub use manifest::{
    BaseBlob, BaseOrigin, BundleBlob, BundleFileEntry, BundleImage, BundleManifest, Held,
    OriginKind, Part, Placement,
};
