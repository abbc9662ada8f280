//! skopeo's command line over the same engine (skopeo 1.22): its flags, outputs, logs and exit codes.
mod archive;
mod client;
mod config;
mod convert;
mod converted;
mod copy;
mod daemon;
mod failure;
mod go_json;
mod host;
mod inspect;
mod layouts;
mod list_tags;
mod log;
mod login;
mod made;
mod manifest_digest;
mod name;
mod platform;
mod schema1;
mod screen;
mod source;
mod sync;
mod target;
mod wording;

pub use host::{Host, HostError};
