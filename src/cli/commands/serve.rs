//! `hod serve`

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::ServeArgs;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::ui::Printer;
use hod_fsx::AppendFile;
use hod_ops::{Exposure, ServeOptions};
use hod_server::{Access, AccessLog};

/// A file that must exist, by a path that must not be a secret.
fn path(name: &'static str, given: Option<&PathBuf>) -> Result<Option<PathBuf>, CommandError> {
    let Some(given) = given else {
        return Ok(None);
    };
    let path = settings::path(name, given.as_os_str())?;
    settings::require_given(name, &path)?;
    Ok(Some(path))
}

pub(super) async fn run(session: &Session<'_>, args: &ServeArgs) -> Result<Exit, CommandError> {
    let options = ServeOptions {
        source: args.source.clone(),
        listen: args.listen,
        access: match (args.access.writable, args.access.allow_delete) {
            (false, _) => Access::ReadOnly,
            (true, false) => Access::Push,
            (true, true) => Access::PushAndDelete,
        },
        tls: path("--tls-cert", args.tls_cert.as_ref())?
            .zip(path("--tls-key", args.tls_key.as_ref())?),
        htpasswd: path("--htpasswd", args.htpasswd.as_ref())?,
        allow_hosts: args.allow_host.clone(),
        exposure: if args.insecure {
            Exposure::Accepted
        } else {
            Exposure::Refused
        },
        access_log: match &args.access_log {
            Some(path) => Some(access_log(session.printer, path)?),
            None => None,
        },
    };
    let mut announced = Ok(());
    let is_serving = Cell::new(false);
    let on_ready = |url: &str| {
        is_serving.set(true);
        announced = session.printer.result(url);
        session.printer.message(&format!(
            "serving `{}` at {url}; stop it with Ctrl-C",
            args.source.display()
        ));
    };
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let shutdown = async {
        // The receiver may be gone.
        let _ = stopped.await;
    };
    let cx = session.local();
    let serving = hod_ops::serve(&cx, &options, on_ready, shutdown);
    let interrupted = async {
        session.interrupt.request(1).await;
        if is_serving.get() {
            session.printer.message(
                "stopping when the current requests are finished; interrupt again to stop at once",
            );
            let _ = stop.send(());
            session.interrupt.request(2).await;
        }
    };
    tokio::select! {
        served = serving => served?,
        () = interrupted => return Err(CommandError::Interrupted { progress: None }),
    }
    announced?;
    Ok(Exit::Done)
}

fn access_log(printer: &Printer, path: &Path) -> Result<Arc<dyn AccessLog>, CommandError> {
    let printer = printer.clone();
    if path == Path::new("-") {
        return Ok(Arc::new(ScreenLog(printer)));
    }
    let file = AppendFile::open(path).map_err(CommandError::File)?;
    Ok(Arc::new(FileLog {
        file,
        printer,
        has_failed: AtomicBool::new(false),
    }))
}

/// An access log on stderr.
struct ScreenLog(Printer);

impl AccessLog for ScreenLog {
    fn line(&self, line: &str) {
        self.0.log(line);
    }
}

/// An access log in a file.
struct FileLog {
    file: AppendFile,
    printer: Printer,
    has_failed: AtomicBool,
}

impl AccessLog for FileLog {
    fn line(&self, line: &str) {
        let Err(error) = self.file.line(line) else {
            return;
        };
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            let text = format!("the access log is incomplete from here on: {error}");
            self.printer.warning(&text);
        }
    }
}
