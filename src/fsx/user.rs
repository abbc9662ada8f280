//! The user of this process.

/// The number of the user.
pub fn user_id() -> u32 {
    nix::unistd::Uid::effective().as_raw()
}
