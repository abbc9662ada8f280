//! Stops uploads between two chunks, so that the next run can continue them.

use std::sync::Arc;

use tokio::sync::{RwLock, RwLockReadGuard};

/// Stops uploads between two chunks. Cheap to clone; all clones are one.
///
/// A chunk that breaks off midway is lost with the whole session on distribution 2.8, hence on
/// every Harbor.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    /// Shared by the chunks in flight, and held exclusively to stop them.
    gate: Arc<RwLock<()>>,
}

/// Held while a chunk is under way.
pub(super) type UnderWay<'a> = RwLockReadGuard<'a, ()>;

impl Drain {
    /// Whether no chunk is in flight, so that a stop is immediate.
    pub fn is_idle(&self) -> bool {
        self.gate.try_write().is_ok()
    }

    /// Prevents further chunks from starting while the future, or its result, exists; completes
    /// when none is in flight.
    pub async fn stop(&self) -> impl Sized + use<> {
        Arc::clone(&self.gate).write_owned().await
    }

    /// Waits for a stop to pass, which the end of the program mostly is.
    pub(super) async fn enter(&self) -> UnderWay<'_> {
        self.gate.read().await
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "`tokio::test` gives each test a runtime of its own"
)]
mod tests {
    use std::task::Poll;

    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn a_stop_waits_for_chunks_and_lets_none_begin() {
        let drain = Drain::default();
        assert!(drain.is_idle());
        let chunk = drain.enter().await;
        let other = drain.enter().await;
        assert!(!drain.is_idle());
        let mut stop = Box::pin(drain.stop());
        assert!(poll!(&mut stop).is_pending());
        let mut late = Box::pin(drain.enter());
        assert!(poll!(&mut late).is_pending());
        drop(chunk);
        assert!(poll!(&mut stop).is_pending());
        drop(other);
        let Poll::Ready(stopped) = poll!(&mut stop) else {
            panic!("no chunk is under way");
        };
        assert!(poll!(&mut late).is_pending());
        drop(stopped);
        assert!(poll!(&mut late).is_ready());
    }
}
