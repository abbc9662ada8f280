//! The store: distribution's registry v2 tree on disk.
//!
//! ```text
//! STORE/docker/registry/v2/blobs/<alg>/<hh>/<hex>/data            layers, configs and manifests
//!                          repositories/<name>/_layers/…/link     the blobs of a repository
//!                                              _manifests/revisions/…/link
//!                                                         tags/<tag>/{current,index/…}/link
//! STORE/.hod/{lock,tmp,partial,originals}                         ours
//! ```
//!
//! Byte for byte what `registry:2` and `registry:3` write, so that they can serve it, and tolerant
//! of what others write when reading, for which `.hod` is not needed. What appears appears whole:
//! blobs by rename, a new repository or tag by renaming its directory, links by rename; data before
//! links, the tag last. Blob data may be hardlinked between trees and is never changed in place;
//! link files never are hardlinked, since older registries rewrite them in place.

mod blob;
mod create;
mod error;
mod image;
mod indirect;
mod layout;
mod original;
mod partial;
mod prune;
mod publish;
mod referrers;
mod repository;
mod stamp;
mod store;
mod tag;
#[cfg(test)]
mod tests;
mod upload;
mod verify;

pub use blob::{BlobWriter, Holding, StagedBlob};
pub use create::CreatedDirs;
pub use error::StoreError;
pub use image::{StoredImage, StoredImages, UnreadableTag};
pub use indirect::IndirectCheck;
pub use partial::{Partial, PartialBlob};
pub use prune::{Lost, Removal, Retained, Surplus, WhyLost};
pub use publish::Publication;
pub use stamp::{Soundness, examine, examine_foreign};
pub use store::Store;
pub use upload::Upload;
pub use verify::{LinkFault, Problem, VerifyOutcome, verify};
