//! Everything that is tested from outside of the modules, as one program.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

mod corrupt;
mod demo;
mod errors;
mod failing;
mod fixtures;
mod hostile;
mod interop;
mod interrupt;
mod layering;
mod pull;
mod push;
mod readme;
mod roundtrip;
mod selftest;
mod serve;
mod space;
mod support;
mod unpack;
