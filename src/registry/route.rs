//! Where images are read from: the registry itself, or its mirrors.

pub(crate) mod mirrors;
pub(crate) mod origin;
