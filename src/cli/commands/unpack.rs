//! `hod unpack`

use super::outcome::{self, Wording};
use super::{CommandError, Exit, Session};
use crate::cli::args::UnpackArgs;
use crate::ops::{self, UnpackOptions};

pub(super) async fn run(session: &Session<'_>, args: &UnpackArgs) -> Result<Exit, CommandError> {
    let options = UnpackOptions {
        bundle: args.bundle.clone(),
        output: args.output.clone(),
    };
    let found = ops::unpack(&session.local(), &options).await?;
    outcome::print(
        session,
        Wording {
            verb: "unpack",
            done: "unpacked",
        },
        &found,
    )
}
