//! What the integration tests stand on.

pub(crate) mod bundles;
pub(crate) mod disk;
pub(crate) mod docker_registry;
pub(crate) mod env;
pub(crate) mod fault_proxy;
pub(crate) mod faults;
pub(crate) mod harbor;
pub(crate) mod http;
pub(crate) mod images;
pub(crate) mod indexes;
pub(crate) mod nginx;
pub(crate) mod pki;
pub(crate) mod programs;
pub(crate) mod proxy;
pub(crate) mod puppet;
pub(crate) mod random;
pub(crate) mod referrers;
pub(crate) mod registry;
pub(crate) mod relay;
pub(crate) mod served;
pub(crate) mod skopeo;
pub(crate) mod static_hod;
pub(crate) mod token_server;
pub(crate) mod tree;
pub(crate) mod volumes;
pub(crate) mod zoo;
