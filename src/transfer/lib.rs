//! Transfers images from sources to sinks, with one engine.
//!
//! The engine processes the whole list at once, not image by image: every reference is resolved and
//! every unique blob planned ([`resolve()`], [`Plan`]) before the first one moves; blobs move
//! largest first with a lane reserved for small ones, each digest once; an image is published when
//! all of it has arrived ([`Transfer::run`]). One image's failure does not stop the others.

mod absent;
mod again;
mod attempt;
mod blob_content;
mod blob_task;
mod caps;
mod chosen;
mod config;
mod content;
mod endpoint;
mod error;
mod kind;
mod listed;
mod open;
mod origins;
mod outcome;
mod pieces;
mod plan;
mod referrer;
mod referrers;
mod registry_source;
mod resolve;
mod resolved;
mod schedule;
mod sequential;
mod shared;
mod signatures;
mod sink;
mod sinks;
mod size_claim;
mod sizes;
mod source;
mod sources;
mod subject;
mod timing;
mod unmatched;
mod walk;
mod wanted;

pub use absent::{AbsentChild, Holder, Wish, is_about_another};
pub use attempt::Attempts;
pub use blob_content::{BlobContent, BlobStream};
pub use blob_task::BlobTask;
pub use caps::{BlobHolder, Indexes, Keeping, Reach, ReadOrder, SourceCaps};
pub use chosen::ChosenImage;
pub use config::{config_of, platform_of, read_config};
pub use content::Content;
pub use endpoint::{Endpoint, EndpointError, FILE_EXTENSIONS, Stated, TRANSPORTS, Transport};
pub use error::{SignatureError, TransferError};
pub use hod_oci::ReferrerMode;
pub use kind::SourceKind;
pub use listed::{Found, Listed, Placed, Sought};
pub use open::{AtPath, OpenError, Opened};
pub use origins::Origins;
pub use outcome::{ImageOutcome, OnFailure};
pub use pieces::Pieces;
pub use plan::{Plan, PlannedBlob, Presence};
pub use referrer::Referrer;
pub use referrers::{LocalReferrers, find as find_referrers, join as join_referrers, layout_name};
pub use registry_source::{Looked, RegistrySource};
pub use resolve::{Resolution, resolve, resolve_all};
pub use resolved::Resolved;
pub use schedule::Transfer;
pub use sequential::{BlobSlot, Ended, StreamedBundle};
pub use shared::{Feed, Share, SharedFetch};
pub use signatures::{SignedImage, attachments, layout_signatures};
pub use sink::{Batching, Sink, Visibility};
pub use sinks::{
    BundleSink, DockerSink, LayoutSink, LinkChoice, ManifestFiles, OciSink, ReadAll, ReferrerTags,
    RegistrySink, StoreSink, StoreSinkOptions, publications,
};
pub use size_claim::SizeClaim;
pub use source::Source;
pub use sources::{BundleSource, BundlesSource, CollectionSource, LayoutsSource};
pub use subject::{Origin, Subject};
pub use timing::Timings;
pub use unmatched::Unmatched;
pub use wanted::{Destination, IndexMode, Locate, Location, Wanted};
