//! How many files the system lets this process have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit of open files as far as it may be raised; returns it.
pub fn raise_open_files_max() -> u64 {
    let Ok((current, maximum)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return u64::MAX;
    };
    // Fails where a limit of the system is lower: then the one that is in force stays.
    match setrlimit(Resource::RLIMIT_NOFILE, maximum, maximum) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}
