//! The adapters of sinks, one per file.

mod bundle;
mod docker;
mod layouts;
mod oci;
mod registry;
mod store;
mod take_over;

pub use bundle::{BundleSink, ReadAll};
pub use docker::DockerSink;
pub use layouts::LayoutSink;
pub use oci::OciSink;
pub use registry::RegistrySink;
pub use store::{ReferrerTags, StoreSink, StoreSinkOptions, publications};
pub use take_over::{LinkChoice, ManifestFiles};
