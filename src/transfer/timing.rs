//! How long each image was worked on.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Times the images of a plan: from the start of the first blob of an image, or of its publication
/// if no blob was moved, until the image was complete or failed.
///
/// Images are processed concurrently, so the sum of the times exceeds that of the run.
#[derive(Debug, Default)]
pub struct Timings(Mutex<Vec<Timing>>);

#[derive(Debug, Clone, Copy, Default)]
struct Timing {
    begun: Option<Instant>,
    took: Option<Duration>,
}

impl Timings {
    /// Notes that these images are being worked on.
    pub(super) fn begin(&self, images: &[usize]) {
        let now = Instant::now();
        self.each(images, |timing| {
            timing.begun.get_or_insert(now);
        });
    }

    /// Notes that an image is complete, or given up.
    pub(super) fn end(&self, image: usize) {
        self.each(&[image], |timing| {
            timing.took = timing.begun.map(|begun| begun.elapsed());
        });
    }

    /// The duration of an image; `None` for one that was not begun or did not end.
    pub fn took(&self, image: usize) -> Option<Duration> {
        let timings = self.0.lock().expect("no panic while timing");
        timings.get(image)?.took
    }

    fn each(&self, images: &[usize], note: impl Fn(&mut Timing)) {
        let mut timings = self.0.lock().expect("no panic while timing");
        for &image in images {
            if timings.len() <= image {
                timings.resize(image + 1, Timing::default());
            }
            note(&mut timings[image]);
        }
    }
}
