//! Tests of the whole format, with access to its parts.

mod bits;
mod divided;
mod hostile;
mod properties;
pub(crate) mod sample;
