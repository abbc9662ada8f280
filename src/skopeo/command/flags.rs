//! The commands and flags of skopeo 1.22.

mod commands;
mod sets;

use hod_pflag::{Flag, Kind, Program};

use self::commands::commands;
use self::sets::globals;

/// The version whose behaviour is followed: the 1.22 line with the flags that came after 1.22.2.
pub(crate) const VERSION: &str = "1.22.0-dev";

/// The program with all its commands; `authfile` is the default of the flags of that name.
pub(crate) fn root(authfile: &str) -> Program {
    Program {
        name: "skopeo",
        about: "Various operations with container images and container image registries",
        version: VERSION.to_owned(),
        flags: vec![
            Flag::new("version", Kind::Bool, "Version for Skopeo").short('v'),
            Flag::new(
                "tls-verify",
                Kind::Bool,
                "Require HTTPS and verify certificates when accessing the registry",
            )
            .hidden(),
        ],
        globals: globals(),
        commands: commands(authfile),
    }
}
