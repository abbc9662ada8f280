//! Carries container images from registries, over an air gap, into a registry.
//!
//! The codemap, lowest floor first; modules import downward only (`tests/it/layering.rs` holds it):
//!
//! - ground, pure: [`oci`] (the vocabulary), [`list`] (what to carry), [`report`] (what happens),
//!   [`hint`] (what to do about it), [`redact`] (secrets in texts)
//! - system: [`fsx`] (the file system), [`tarball`] (the one tar reader and writer), [`program`]
//!   (other programs), [`terminal`] (questions), [`bridge`] (async ⇄ blocking)
//! - mechanisms: [`store`] (the registry tree on disk), [`registry`] (the client), [`bundle`] (the
//!   carried file), [`layout`] (the neighbours' formats), [`server`] (the API over a store),
//!   [`template`] (texts)
//! - the way: [`transfer`] (sources, sinks and the engine between them)
//! - use cases: [`ops`] (one verb a file; the verbs that move images are presets of [`ops::copy`])
//! - the face: [`cli`] (flags, printing, exit codes)
//!
//! # How an image gets from one end to another
//!
//! [`ops::Input`] is opened as a [`transfer::Source`], and every image that is wanted of it becomes
//! a manifest and its blobs ([`transfer::resolve_all`], [`transfer::Plan`]). Each
//! [`ops::CopyTarget`] looks at its plan, and changes nothing before all of them have looked. Then
//! [`transfer::Transfer::run`] hands every blob of the plan to the target's [`transfer::Sink`]
//! (`has`, `put`), and every image that is complete (`publish`).
//!
//! # Adding a transport
//!
//! 1. The word in front of the colon: a [`transfer::Transport`], its line in
//!    [`transfer::TRANSPORTS`], and what `src/transfer/endpoint.rs` asks of each: its name in a
//!    sentence, whether it is one tar, takes more images later, or an image behind its path. What has
//!    no path is more: an [`transfer::Endpoint`] of its own, as registries are.
//! 2. To read it: `src/transfer/source/NAME.rs`, an implementation of [`transfer::Source`]. It says
//!    in [`transfer::SourceCaps`] what it can do: in which order it is read, whether over a network,
//!    whether blobs are files that can be linked. `src/transfer/open.rs` tells it by what is there,
//!    and its [`transfer::SourceKind`] has the words of messages and its transport.
//! 3. To write it: `src/transfer/sink/NAME.rs`, an implementation of [`transfer::Sink`]. A layout or
//!    an archive of another tool is one [`ops::LayoutFormat`], `src/ops/copy/layouts/NAME.rs`;
//!    anything else one [`ops::CopyTarget`], `src/ops/copy/NAME.rs`: what would stop a copy there,
//!    and how it is filled. Its line in `src/cli/commands/copy/local.rs` makes a target of the word.
//! 4. One line of the table in `tests/it/pairs.rs`, which copies from it and to it with every other.
//!
//! The verbs that move images are given targets, and need not know of it. Those that only look read
//! any [`transfer::Source`]; `verify` of a whole store, bundle or layout, what a bundle says of its
//! base, and removing from a tree are about one kind, and ask the source whether it is that.

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
pub mod tarball;
pub mod template;
pub mod terminal;
pub mod transfer;
