//! SIGINT, SIGTERM and SIGHUP: how a user, or the end of a session, ends a command.
//!
//! Signals are received on a separate thread. A command notices the first one through
//! [`Interrupt::request`] and ends in good order: it writes its reports, and removes its temporary
//! files. If the command's own thread is blocked (in a system call on a pipe without a writer, or
//! on a file system that does not respond), it notices nothing, and the process ends without it.

use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit::Exit;
use super::ui::Printer;

/// A file would be longer than `ulimit -f` allows; the number is the same on all platforms that hod
/// runs on.
const SIGXFSZ: i32 = 25;
/// More than the length of `/proc/self/status`, in bytes.
const STATUS_LEN_MAX: u64 = 64 * 1024;
/// How long the command has to notice the first signal.
const NOTICE_MAX: Duration = Duration::from_secs(1);
/// How long it has to notice each further one: the user is impatient.
const NOTICE_AGAIN_MAX: Duration = Duration::from_millis(100);
/// From this signal on, the process ends without asking the command.
const SIGNALS_MAX: usize = 3;
/// Maximum time for the last message: stderr may be a pipe that is not read.
const LAST_WORDS_MAX: Duration = Duration::from_millis(200);

/// Tells a command that the user wants it to end.
#[derive(Debug)]
pub(super) struct Interrupt {
    /// The number of signals that arrived.
    received: watch::Receiver<usize>,
    /// The number of signals that the command noticed.
    noticed: watch::Sender<usize>,
}

impl Interrupt {
    /// Starts to receive signals; a process has one.
    pub(super) fn watch(printer: &Printer) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _context = runtime.enter();
            // The signal itself is ignored, so that a write beyond the limit fails and is cleaned
            // up.
            drop(signal(SignalKind::from_raw(SIGXFSZ))?);
            let hangup = (!ignores_hangup()).then(|| signal(SignalKind::hangup()));
            Signals {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: hangup.transpose()?,
            }
        };
        let (received_sender, received) = watch::channel(0);
        let (noticed, noticed_receiver) = watch::channel(0);
        let watcher = Watcher {
            printer: printer.clone(),
            received: received_sender,
            noticed: noticed_receiver,
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || watcher.run(&runtime, signals))?;
        Ok(Self { received, noticed })
    }

    /// Completes when the user asked for an end `n` times, and confirms that it was noticed.
    pub(super) async fn request(&self, n: usize) {
        let mut received = self.received.clone();
        if received.wait_for(|received| *received >= n).await.is_err() {
            // The thread has ended, which happens only at the end of the process.
            return std::future::pending().await;
        }
        self.noticed.send_replace(n);
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` if the command outlives its session.
    hangup: Option<Signal>,
}

impl Signals {
    /// Waits for any of them.
    async fn recv(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Whether the command was started to outlive its session, as with `nohup`: receiving the signal
/// would undo that. True if the system does not tell.
fn ignores_hangup() -> bool {
    let status = hod_fsx::try_read(Path::new("/proc/self/status"), STATUS_LEN_MAX);
    let status = status.ok().flatten().unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    // Bit 0 stands for signal 1, which is SIGHUP.
    ignored.is_none_or(|set| set & 1 != 0)
}

/// The thread that receives the signals.
struct Watcher {
    printer: Printer,
    received: watch::Sender<usize>,
    noticed: watch::Receiver<usize>,
}

impl Watcher {
    #[expect(
        clippy::disallowed_methods,
        reason = "signals are received apart from the runtime of the command"
    )]
    fn run(self, runtime: &Runtime, mut signals: Signals) {
        runtime.block_on(async {
            let mut n = 0;
            loop {
                let deadline = match n {
                    0 => None,
                    1 => Some(NOTICE_MAX),
                    _ => Some(NOTICE_AGAIN_MAX),
                };
                tokio::select! {
                    () = signals.recv() => {}
                    () = self.unnoticed(n, deadline) => break,
                }
                n += 1;
                if n == SIGNALS_MAX {
                    break;
                }
                self.received.send_replace(n);
            }
        });
        self.end();
    }

    /// Completes when signal `n` was not noticed in time.
    async fn unnoticed(&self, n: usize, deadline: Option<Duration>) {
        if let Some(deadline) = deadline {
            let mut noticed = self.noticed.clone();
            let in_time = noticed.wait_for(|noticed| *noticed >= n);
            if tokio::time::timeout(deadline, in_time).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Ends the process immediately: the command's own thread is blocked and cannot return.
    fn end(self) {
        let (said, heard) = mpsc::channel();
        let speaker = std::thread::Builder::new().spawn(move || {
            crate::cli::terminal::restore();
            self.printer.message("interrupted");
            // The receiver may be gone already.
            let _ = said.send(());
        });
        if speaker.is_ok() {
            // The message was written, or stderr is blocked.
            let _ = heard.recv_timeout(LAST_WORDS_MAX);
        }
        std::process::exit(Exit::Interrupted.code().into());
    }
}
