//! How to serve.

use std::fmt;
use std::sync::Arc;

use hod_fsx::Durability;
use hod_report::Reporter;

/// What clients may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Pull.
    ReadOnly,
    /// Pull and push; requires a store that was created, not only opened.
    Push,
    /// Pull, push and delete; requires the same.
    PushAndDelete,
}

/// Options for serving.
#[derive(Clone)]
pub struct ServeOptions {
    pub access: Access,
    /// How much of a push is synced before it is answered.
    pub durability: Durability,
    /// Learns, as warnings, of what failed on the server's side.
    pub reporter: Arc<dyn Reporter>,
}

impl fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions")
            .field("access", &self.access)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}
