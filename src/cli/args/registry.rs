//! Flags for reaching registries.

use clap::Args;

use crate::oci::Registry;

#[derive(Debug, Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct RegistryArgs {
    /// Speak plain HTTP with this registry; may be given several times
    ///
    /// HTTPS is spoken with every registry but those on this machine (localhost, 127.0.0.0/8).
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) plain_http: Vec<Registry>,

    /// How often to try again after a failure that may pass
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) retries: u32,
}
