//! The images of one target.

use crate::{ImageReport, ImageStatus, Target};
use hod_oci::Digest;
use hod_transfer::Wanted;

/// The images for one target, under their names there.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) wanted: Vec<Wanted>,
    /// The position of each among the images of the input; in ascending order.
    pub(super) positions: Vec<usize>,
}

impl Assigned {
    pub(super) fn of(images: impl IntoIterator<Item = (usize, Wanted)>) -> Self {
        let (positions, wanted) = images.into_iter().unzip();
        Self { wanted, positions }
    }

    pub(super) fn images(&self) -> impl Iterator<Item = (usize, &Wanted)> {
        self.positions.iter().copied().zip(&self.wanted)
    }

    /// Takes the images out that are settled, and gives a report for each with its place among the
    /// images of the target.
    pub(super) fn settle(&mut self, settled: &[Option<Digest>]) -> Vec<(usize, ImageReport)> {
        // The position of each image among those that are left.
        let mut left = Vec::with_capacity(settled.len());
        let mut n_left = 0;
        for digest in settled {
            left.push(n_left);
            n_left += usize::from(digest.is_none());
        }
        let mut reports = Vec::new();
        let images = self.positions.drain(..).zip(self.wanted.drain(..));
        let mut rest = Vec::new();
        for (place, (position, wanted)) in images.enumerate() {
            match &settled[position] {
                Some(digest) => reports.push((place, unchanged_report(&wanted, digest))),
                None => rest.push((left[position], wanted)),
            }
        }
        *self = Self::of(rest);
        reports
    }
}

fn unchanged_report(wanted: &Wanted, digest: &Digest) -> ImageReport {
    ImageReport {
        digest: Some(digest.clone()),
        target: Some(Target::Unchanged),
        ..ImageReport::unresolved(wanted, ImageStatus::Unchanged)
    }
}
