//! `hod select`

use super::outcome::{self, Wording};
use super::{CommandError, Exit, Session, settings};
use crate::cli::args::SelectArgs;
use crate::oci::Registry;
use crate::ops::{self, SelectOptions};

pub(super) async fn run(session: &Session<'_>, args: &SelectArgs) -> Result<Exit, CommandError> {
    let options = SelectOptions {
        list: settings::image_list(&args.list, &Registry::docker_hub())?,
        store: args.store.clone(),
        output: args.output.clone(),
        link: args.link.into(),
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
    };
    let found = ops::select(&session.local(), &options).await?;
    outcome::print(
        session,
        Wording {
            verb: "select",
            done: "selected",
        },
        &found,
    )
}
