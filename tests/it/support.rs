//! What the integration tests stand on.

pub(crate) mod env;
pub(crate) mod faults;
pub(crate) mod http;
pub(crate) mod images;
pub(crate) mod registry;
