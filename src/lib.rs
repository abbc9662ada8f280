//! Carries container images from registries, over an air gap, into a registry.
//!
//! The codemap, lowest floor first; modules import downward only (`tests/it/layering.rs` holds it):
//!
//! - ground, pure: [`oci`] (the vocabulary), [`list`] (what to carry), [`report`] (what happens),
//!   [`hint`] (what to do about it), [`redact`] (secrets in texts)
//! - system: [`fsx`] (the file system), [`archive`] (other people's tars), [`program`] (other
//!   programs), [`terminal`] (questions), [`bridge`] (async ⇄ blocking)
//! - mechanisms: [`store`] (the registry tree on disk), [`registry`] (the client), [`bundle`] (the
//!   carried file), [`layout`] (the neighbours' formats), [`server`] (the API over a store),
//!   [`template`] (texts)
//! - the way: [`transfer`] (sources, sinks and the engine between them)
//! - use cases: [`ops`] (one verb a file)
//! - the face: [`cli`] (flags, printing, exit codes)

pub mod archive;
pub mod bridge;
pub mod bundle;
pub mod cli;
pub mod fsx;
pub mod hint;
pub mod layout;
pub mod list;
pub mod oci;
pub mod ops;
pub mod program;
pub mod redact;
pub mod registry;
pub mod report;
pub mod server;
pub mod store;
pub mod template;
pub mod terminal;
pub mod transfer;
