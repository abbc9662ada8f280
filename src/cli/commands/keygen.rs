//! `hod keygen`

use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::KeygenArgs;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::ui::ResultFormat;
use hod_bundle::Password;
use hod_ops::KeygenOptions;

pub(super) async fn run(session: &Session<'_>, args: &KeygenArgs) -> Result<Exit, CommandError> {
    let password = if args.password_stdin {
        Some(Password::new(settings::password_stdin().await?))
    } else {
        None
    };
    let options = KeygenOptions {
        output: args.output.clone(),
        password,
    };
    let made = hod_ops::keygen(&session.local(), &options).await?;
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document(&made)?,
        ResultFormat::Text => printer.result(&made.public_key_text)?,
    }
    let sealed = if made.is_sealed {
        "encrypted with the password"
    } else {
        "not encrypted: anyone who can read it can sign"
    };
    printer.message(&format!(
        "created key `{}`: the secret key is `{}`, {sealed}; the public key is `{}`",
        made.key_id,
        made.secret_key.display(),
        made.public_key.display(),
    ));
    Ok(Exit::Done)
}
