//! The environment: variables, and what must not block the run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cli::error::CommandError;

#[expect(
    clippy::disallowed_methods,
    reason = "the one reader of the environment"
)]
pub(super) fn raw_environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A variable; empty is as good as not set.
pub(super) fn environment(name: &str) -> Option<OsString> {
    raw_environment(name).filter(|value| !value.is_empty())
}

/// A variable whose request must not be dropped silently: an empty value is an error, for example
/// if a CI system lacks the secret.
pub(super) fn required_text(name: &'static str) -> Result<Option<String>, CommandError> {
    match raw_environment(name) {
        None => Ok(None),
        Some(value) if value.is_empty() => Err(CommandError::EmptyVariable { name }),
        Some(value) => match value.into_string() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(CommandError::NotUtf8 { name }),
        },
    }
}

/// `$XDG_CONFIG_HOME`, else `~/.config`.
pub(super) fn config_home() -> Option<PathBuf> {
    match environment("XDG_CONFIG_HOME") {
        Some(dir) => Some(PathBuf::from(dir)),
        None => Some(Path::new(&environment("HOME")?).join(".config")),
    }
}

/// Runs `read`, which may block on a pipe or a terminal, on a separate thread, so that an interrupt
/// still ends the command.
pub(super) async fn apart<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, CommandError> + Send + 'static,
) -> Result<T, CommandError> {
    hod_bridge::run_apart(read)
        .await
        .map_err(CommandError::Runtime)?
}
