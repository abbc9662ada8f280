//! The adapters of sources, one per file.

mod bundle;
mod bundles;
mod collection;
mod layouts;
mod registry;
mod store;
mod streamed;

pub use bundle::BundleSource;
pub use bundles::BundlesSource;
pub use collection::CollectionSource;
pub use layouts::LayoutsSource;
