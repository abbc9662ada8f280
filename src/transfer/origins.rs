//! Which answers the bytes of a blob come from.

use std::sync::{Arc, Mutex, MutexGuard};

use hod_registry::BlobOrigin;

/// The answers that the bytes of a blob come from, in their order; none for bytes of a local source.
///
/// Clones share it, since more is opened while the bytes are read.
#[derive(Debug, Clone, Default)]
pub struct Origins(Arc<Mutex<Vec<Part>>>);

#[derive(Debug, Clone)]
enum Part {
    Answer(BlobOrigin),
    /// What another reader opened, or is yet to open.
    Of(Origins),
}

impl Origins {
    /// The one answer that all bytes come from so far.
    pub fn of(origin: BlobOrigin) -> Self {
        Self(Arc::new(Mutex::new(vec![Part::Answer(origin)])))
    }

    /// Adds the origins of content that was opened at the byte `from`; at the first byte, they
    /// replace all others.
    pub fn opened_at(&self, from: u64, opened: &Self) {
        let mut parts = self.parts();
        if from == 0 {
            parts.clear();
        }
        parts.push(Part::Of(opened.clone()));
    }

    /// The place that sent wrong bytes; if this is certain, other places are asked first from now
    /// on.
    pub(super) fn blame(&self) -> Option<BlobOrigin> {
        let mut all = self.all();
        let last = all.pop()?;
        if all.is_empty() {
            last.distrust();
        }
        Some(last)
    }

    fn all(&self) -> Vec<BlobOrigin> {
        // Not held while others are locked.
        let parts = self.parts().clone();
        let all = parts.into_iter().flat_map(|part| match part {
            Part::Answer(origin) => vec![origin],
            Part::Of(others) => others.all(),
        });
        all.collect()
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Part>> {
        self.0.lock().expect("no panic with the lock")
    }
}
