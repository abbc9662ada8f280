//! Use cases: one verb a file, `verb(&Context, &VerbOptions) -> Result<VerbOutcome, OpsError>`.
//!
//! Nothing here prints, reads the environment or ends the process. A batch returns the result of
//! each image; an error means that the whole batch was refused or aborted.

mod base;
mod base_missing;
mod baseline;
mod batch;
mod carry;
mod catalog;
mod context;
mod copy;
mod delete;
mod diff;
mod digest;
mod doctor;
mod error;
mod images;
mod indirect;
mod input;
mod inspect;
mod inventory;
mod keygen;
mod login;
mod merge;
mod output;
mod platforms;
mod policy;
mod preflight;
mod receipt;
mod serve;
mod signature;
mod tags;
mod unread;
mod verify;
mod why;
mod written;

pub use base_missing::{BaseMissing, HeldBy, MissingBlob};
pub use batch::{
    BatchFailure, BatchOutcome, ImageReport, ImageStatus, PresentVolumes, RemovedImage, RunMode,
    Target, TargetName, WouldMove, require_writable_file,
};
pub use catalog::{Catalog, image_names};
pub use context::Context;
pub use copy::{
    BundleTarget, CarryError, CarryOptions, CopyOptions, CopyTarget, DirLayouts, DockerArchive,
    ExtraFile, LayoutFormat, LayoutTarget, NotATool, OciArchive, OciLayout, Others, OwnTool,
    PackFacts, PackForecast, PackOutcome, ProjectNeed, Reading, Recheck, RegistryTarget,
    StoreTarget, SyncMode, TargetNeeds, VolumeForecast, copy,
};
pub use delete::{
    DeleteOptions, DeleteOutcome, DeletePlan, DeleteWhat, DeletedImage, MissingImages, delete,
    plan_delete,
};
pub use diff::{
    BlobCount, Change, Compared, DiffOptions, DiffOutcome, DiffSide, ImageChange, diff, is_receipt,
};
pub use digest::{DigestOutcome, digest};
pub use doctor::{DoctorOptions, DoctorOutcome, Observation, ObservationStatus, doctor};
pub use error::{FileKind, OpsError, Verb};
pub use hod_transfer::SourceKind;
pub use images::{ImageFacts, ImageOrder, ImagesOutcome, VolumeFacts, images};
pub use input::{Input, Look, Registries, RegistriesOrigin, registry_list};
pub use inspect::{
    ConfigFacts, InspectOptions, InspectOutcome, LayerFacts, ManifestFacts, ReferrerFacts, inspect,
    inspect_config, inspect_raw,
};
pub use keygen::{KeygenOptions, KeygenOutcome, keygen};
pub use login::{
    LoginOptions, LoginOutcome, LogoutOptions, LogoutOutcome, LogoutScope, login, logout,
};
pub use merge::{MergeOptions, MergeOutcome, Prefer, merge};
pub use output::{Fewer, OutputError};
pub use platforms::{Mismatch, PlatformOptions};
pub use policy::TrustPolicy;
pub use preflight::{
    Check, Finding, NotReady, Preflight, ProjectReport, SourceCheck, SourcesNotReady,
    TargetsNotReady,
};
pub use receipt::{Holder, ReceiptOptions, ReceiptOutcome, RegistryHolder, receipt};
pub use serve::{Exposure, ServeOptions, serve};
pub use signature::SignatureFacts;
pub use tags::{ReferrerTags, TagsOf, TagsOptions, TagsOutcome, tags};
pub use unread::UnreadImage;
pub use verify::{Depth, Extent, FoundVolumes, VerifyOptions, VerifyOutcome, verify};
pub use why::{Step, Use, WhyOptions, WhyOutcome, why};
pub use written::{Checksums, Existing, WrittenFile, checksum_path};
