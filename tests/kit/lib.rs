//! What the integration tests are built with: programs and servers to test against, images, faults,
//! and a hermetic environment.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]
#![expect(
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "only tests call it"
)]

pub mod bundles;
pub mod disk;
pub mod docker_registry;
pub mod engine;
pub mod env;
pub mod fault_proxy;
pub mod faults;
pub mod harbor;
pub mod http;
pub mod images;
pub mod indexes;
pub mod nginx;
pub mod pki;
pub mod programs;
pub mod proxy;
pub mod puppet;
pub mod random;
pub mod referrers;
pub mod registry;
pub mod relay;
pub mod served;
pub mod skopeo;
pub mod static_hod;
pub mod token_server;
pub mod tree;
pub mod volumes;
pub mod zoo;
