//! Who signed a bundle: keys and signatures, and minisign as the referee of both.

mod bundles;
mod keys;
pub(crate) mod minisign;
mod volumes;
