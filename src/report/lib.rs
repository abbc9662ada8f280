//! What happens, as values: mechanisms and engine report facts, the face renders them.

pub mod amount;
mod chain;
mod class;
mod diagnosis;
mod quoted;
mod reason;
pub mod redact;

use std::sync::Mutex;
use std::time::Duration;

pub use chain::chain;
pub use class::ErrorClass;
pub use diagnosis::{Changes, Diagnose, Diagnosis};
pub use quoted::{presentable, presentable_within};
pub use reason::without_ids;

use hod_oci::Digest;

/// How a blob was transferred to its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobRoute {
    /// Its bytes were moved.
    Moved,
    /// A hardlink or a reflink was made.
    Linked,
    /// The registry took it over from another of its repositories.
    Mounted,
    /// The blob was already present.
    Present,
    /// The blob was present but damaged, and was moved again.
    Replaced,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A stage of the work begins, for people: "resolving 143 images".
    Stage { text: &'a str },
    /// An image's manifests are known.
    ImageResolved { image: &'a str },
    /// All is known before the first blob moves.
    Planned {
        n_images: usize,
        n_blobs: usize,
        len: u64,
    },
    /// Bytes of blobs moved since the last such event.
    BytesMoved { len: u64 },
    /// Bytes reported as moved that must be moved again.
    BytesLost { len: u64 },
    /// Bytes of a blob that an earlier run moved and this one continues from.
    BytesKept { len: u64 },
    /// Bytes reported as kept that turned out to be wrong, and must be moved after all.
    KeptLost { len: u64 },
    /// A blob is where it should be.
    BlobDone {
        digest: &'a Digest,
        len: u64,
        route: BlobRoute,
    },
    /// An image is complete and visible at its destination.
    ImageDone { image: &'a str },
    /// An image failed; the batch continues.
    ImageFailed { image: &'a str, error: &'a str },
    /// Something is tried again after `delay`.
    Retry {
        what: &'a str,
        attempt: u32,
        delay: Duration,
        error: &'a str,
    },
    /// Something the user should know, which stops nothing.
    Warning { text: &'a str },
    /// Something worth saying once.
    Note { text: &'a str },
}

/// Takes events, from any thread, in the order in which each thread sends them.
pub trait Reporter: Send + Sync {
    /// Takes one event; must return at once.
    fn event(&self, event: Event<'_>);
}

/// A reporter that ignores all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn event(&self, _: Event<'_>) {}
}

/// A reporter that remembers every event as text, for tests.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    /// The events so far, one per line.
    pub fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .expect("no reporter panics while it records")
            .clone()
    }
}

impl Reporter for Recorder {
    fn event(&self, event: Event<'_>) {
        let mut lines = self.0.lock().expect("no reporter panics while it records");
        lines.push(format!("{event:?}"));
    }
}
