//! Carries container images from registries, over an air gap, into a registry.
//!
//! The codemap, lowest floor first; modules import downward only (`tests/it/layering.rs` holds it):
//!
//! - ground, pure: [`oci`] (the vocabulary), [`report`] (what happens), [`hint`] (what to do about it)
//! - system: [`fsx`] (the file system), [`bridge`] (async ⇄ blocking)

pub mod bridge;
pub mod fsx;
pub mod hint;
pub mod oci;
pub mod report;
