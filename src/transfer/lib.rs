//! Transfers images from sources to sinks, with one engine.
//!
//! The engine processes the whole list at once, not image by image: every reference is resolved and
//! every unique blob planned ([`resolve()`], [`Plan`]) before the first one moves; blobs move
//! largest first with a lane reserved for small ones, each digest once; an image is published when
//! all of it has arrived ([`Transfer::run`]). One image's failure does not stop the others.

mod attempt;
mod chosen;
mod config;
mod endpoint;
mod error;
mod kind;
mod open;
mod plan;
mod referrers;
mod resolve;
mod schedule;
mod sequential;
mod shared;
mod sink;
mod sizes;
mod source;
mod timing;
mod unmatched;

pub use attempt::Attempts;
pub use chosen::ChosenImage;
pub use config::{config_of, platform_of, read_config};
pub use endpoint::{Endpoint, EndpointError, FILE_EXTENSIONS, Stated, TRANSPORTS, Transport};
pub use error::{TargetFailure, TransferError};
pub use hod_oci::ReferrerMode;
pub use kind::SourceKind;
pub use open::{AtPath, OpenError, Opened};
pub use plan::{Plan, PlannedBlob, Presence};
pub use referrers::{LocalReferrers, Referrer};
pub use referrers::{join as join_referrers, layout_name};
pub use resolve::{
    AbsentChild, Holder, IndexMode, Resolution, Resolved, Wish, is_about_another, resolve,
    resolve_all,
};
pub use schedule::{ImageOutcome, OnFailure, Transfer};
pub use sequential::{Ended, StreamedBundle, Turn};
pub use shared::SharedFetch;
pub use sink::{
    Batching, BundleSink, Content, DockerSink, Handover, LayoutSink, LinkChoice, ManifestFiles,
    OciSink, ReadAll, ReferrerTags, RegistrySink, Sample, SampleSink, Sink, StoreSink,
    StoreSinkOptions, Visibility, publications,
};
pub use sizes::SizeClaim;
pub use source::{
    BlobContent, BlobHolder, BlobStream, BundleSource, BundlesSource, CollectionSource,
    Destination, Found, Indexes, Keeping, LayoutsSource, Listed, Locate, Location, Looked, Origins,
    Pieces, Placed, Reach, ReadOrder, RegistrySource, Sought, Source, SourceCaps, Wanted,
};
pub use timing::Timings;
pub use unmatched::Unmatched;
