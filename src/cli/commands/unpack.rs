//! `hod unpack`

use super::outcome::{self, Asked, Wording};
use super::{CommandError, Exit, Session, settings};
use crate::cli::args::UnpackArgs;
use crate::cli::results::Results;
use crate::ops::{self, Effect, UnpackOptions};

pub(super) async fn run(session: &Session<'_>, args: &UnpackArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "unpack",
        done: "unpacked",
        bytes: "written",
        effect: Effect::Real,
    };
    let files = settings::RunFiles {
        inputs: vec![&args.bundle],
        ..settings::RunFiles::default()
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let options = UnpackOptions {
        bundle: args.bundle.clone(),
        output: args.output.clone(),
        platforms: args.platforms.options(),
    };
    let cx = session.local();
    let found = session.interruptible(ops::unpack(&cx, &options)).await;
    let asked = Asked {
        results,
        list: None,
        source: Some(&options.bundle),
        target: None,
    };
    outcome::finish(session, wording, found, asked).await
}
