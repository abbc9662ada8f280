//! A blob that is opened while its upload starts: the number of requests to its source, and the
//! sent bytes.

#![expect(
    clippy::disallowed_methods,
    reason = "`tokio::test` gives each test a runtime of its own"
)]

use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::{BlobTask, Listed, Plan, PlannedBlob, Source, SourceCaps};
use hod_oci::{Descriptor, Digest, Manifest, MediaType};
use hod_report::Reporter;
use hod_report::Silent;
use hod_retry::RetryPolicy;

const BYTES: &[u8] = b"the blob";

/// A remote source of one blob, which takes a while to open, and fails at first.
#[derive(Debug, Default)]
struct Slow {
    opening: Duration,
    n_failures: usize,
    n_opened: AtomicUsize,
    /// The number of opened readers that are not closed.
    n_open: Arc<AtomicUsize>,
}

/// Counts a stream for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Source for Slow {
    fn caps(&self) -> SourceCaps {
        SourceCaps::FAR
    }

    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        Ok(Vec::new())
    }

    async fn manifest(
        &self,
        _: &Location,
        _: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        Ok(None)
    }

    async fn open_blob_from(
        &self,
        _: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let n_before = self.n_opened.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.opening).await;
        if n_before < self.n_failures {
            let digest = descriptor.digest.clone();
            return Err(TransferError::BlobAbsent { digest });
        }
        self.n_open.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&self.n_open));
        let rest = Bytes::from_static(&BYTES[usize::try_from(from).unwrap()..]);
        let stream = futures_util::stream::once(async move {
            let _counted = counted;
            Ok(rest)
        });
        Ok(BlobContent::Stream(Box::pin(stream), Origins::default()))
    }
}

/// What begins the upload: it answers after a while, or fails.
#[derive(Debug, Clone, Copy)]
struct Begin {
    after: Duration,
    is_refused: bool,
}

/// The result.
#[derive(Debug, PartialEq, Eq)]
struct Came {
    is_begun: bool,
    /// The number of open readers after the upload started or failed to start.
    n_open: usize,
    /// How often the source was asked in all, until the bytes were read.
    n_opened: usize,
    /// The sent bytes.
    sent: Option<Vec<u8>>,
}

async fn upload(slow: Slow, begin: Begin) -> Came {
    let slow = Arc::new(slow);
    let source: Arc<dyn Source> = slow.clone();
    let reporter: Arc<dyn Reporter> = Arc::new(Silent);
    let descriptor = Descriptor::new(MediaType::new(""), Digest::of(BYTES), BYTES.len() as u64);
    let blob = PlannedBlob {
        descriptor,
        from: vec![Location::Pool],
        images: Vec::new(),
        presence: Presence::Source,
    };
    let task = BlobTask {
        source: &source,
        share: None,
        plan: &Plan::new(Vec::new()),
        blob: &blob,
        reporter: &reporter,
        retry: RetryPolicy::default(),
    };
    let mut content = Content::new(task, None);
    let beginning = async {
        tokio::time::sleep(begin.after).await;
        if begin.is_refused { Err(()) } else { Ok(()) }
    };
    let is_begun = content.open_during(beginning).await.is_ok();
    let n_open = slow.n_open.load(Ordering::Relaxed);
    let sent = if is_begun {
        let UploadBody::Again(open) = content.upload_body().await.unwrap() else {
            panic!("it can be read again");
        };
        match open(0).await {
            Ok(stream) => {
                let chunks: Vec<Bytes> = stream.try_collect().await.unwrap();
                Some(chunks.concat())
            }
            Err(_) => None,
        }
    } else {
        None
    };
    let n_opened = slow.n_opened.load(Ordering::Relaxed);
    Came {
        is_begun,
        n_open,
        n_opened,
        sent,
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_is_opened_once_however_the_upload_begins() {
    let ms = Duration::from_millis;
    let whole = Some(BYTES.to_vec());
    let ok = |after| Begin {
        after,
        is_refused: false,
    };
    let refused = |after| Begin {
        after,
        is_refused: true,
    };
    for (opening, n_failures, begin, n_open, n_opened, sent) in [
        // Whichever is first waits for the other.
        (ms(50), 0, ok(ms(10)), 1, 1, &whole),
        (ms(10), 0, ok(ms(50)), 1, 1, &whole),
        // Neither is waited for without end.
        (ms(10), 0, ok(ms(60_000)), 0, 2, &whole),
        (ms(60_000), 0, ok(ms(10)), 0, 2, &whole),
        // An upload that does not begin leaves nothing open.
        (ms(10), 0, refused(ms(50)), 0, 1, &None),
        (ms(50), 0, refused(ms(10)), 0, 1, &None),
        (ms(10), 0, refused(ms(60_000)), 0, 1, &None),
        // Content that fails to open is opened again where the error can be reported.
        (ms(10), 1, ok(ms(50)), 0, 2, &whole),
        (ms(50), 1, ok(ms(10)), 0, 2, &whole),
        (ms(10), 2, ok(ms(50)), 0, 2, &None),
    ] {
        let slow = Slow {
            opening,
            n_failures,
            ..Slow::default()
        };
        let came = upload(slow, begin).await;
        let expect = Came {
            is_begun: !begin.is_refused,
            n_open,
            n_opened,
            sent: sent.clone(),
        };
        assert_eq!(came, expect, "{opening:?}, {n_failures}, {begin:?}");
    }
}
