//! Everything that is tested from outside of the modules, as one program.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

mod copy;
mod copy_bundles;
mod corrupt;
mod delete;
mod delta;
mod demo;
mod diff;
mod digest;
mod doctor;
mod endpoints;
mod errors;
mod evidence;
mod exits;
mod export_formats;
mod failing;
mod fixtures;
mod flags;
mod forecast;
mod foreign_layers;
mod golden;
mod harbor;
mod hostile;
mod house;
mod identity;
mod indirect;
mod inspect;
mod installer;
mod interop;
mod interrupt;
mod kernel;

mod limits;
mod line_options;
mod lists;
mod login;
mod looking;
mod ls;
mod merge;
mod mirrors;
mod nginx;
mod outputs;
mod pack_stdout;
mod packing;
mod pairs;
mod patterns;
mod piped;
mod platforms;
mod policy;
mod pull;
mod push;
mod readme;
mod receipt;
mod referrers;
mod refusals;
mod replace;
mod results;
mod roundtrip;
mod safety;
mod secrets;
mod selftest;
mod serve;
mod signals;
mod signatures;
mod skopeo;
mod space;
mod sync;
mod tags;
mod terminal;
mod tokens;
mod tool_lists;
mod trust;
mod unpack;
mod unverified;
mod upload;
mod volumes;
mod weather;
mod why;
mod written;
