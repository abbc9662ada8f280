//! `hod serve`

use super::{CommandError, Exit, Session};
use crate::cli::args::ServeArgs;
use crate::ops::{self, ServeOptions};
use crate::server::Access;

pub(super) async fn run(session: &Session<'_>, args: &ServeArgs) -> Result<Exit, CommandError> {
    let options = ServeOptions {
        source: args.source.clone(),
        listen: args.listen,
        access: match (args.writable, args.allow_delete) {
            (false, _) => Access::ReadOnly,
            (true, false) => Access::Push,
            (true, true) => Access::PushAndDelete,
        },
    };
    let mut announced = Ok(());
    let on_ready = |address: std::net::SocketAddr| {
        announced = session.printer.result(format_args!("http://{address}"));
        session.printer.message(&format!(
            "serving `{}` at http://{address}; Ctrl-C ends it",
            args.source.display()
        ));
    };
    // Never of itself: an interrupt ends the command, as it does every other.
    let cx = session.local();
    ops::serve(&cx, &options, on_ready, std::future::pending()).await?;
    announced?;
    Ok(Exit::Done)
}
