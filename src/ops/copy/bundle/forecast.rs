//! `pack --dry-run`: what packing would write, and the space that the target requires.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Output;
use super::fill::Looked;
use super::outcome::{PackForecast, ProjectNeed, TargetNeeds, VolumeForecast};
use crate::OpsError;
use crate::batch::existing_ancestor;
use hod_bundle::{BaseBlob, BundleManifest, PlannedFile};
use hod_oci::{Digest, sum_len};

impl Looked<'_> {
    /// Determines what filling would do, without doing it.
    ///
    /// Errors that packing would detect before it writes are errors of the preparation too, except
    /// a lack of space and existing outputs, which are in the forecast.
    pub(super) async fn forecast(
        &mut self,
        files: Vec<PlannedFile>,
        refusal: Option<OpsError>,
    ) -> Result<(), OpsError> {
        let Some(planned) = self.planned.take() else {
            return Ok(());
        };
        let volume = |file: PlannedFile| VolumeForecast {
            path: file.path,
            bytes: file.len,
        };
        let volumes: Vec<VolumeForecast> = files.into_iter().map(volume).collect();
        let mut forecast = PackForecast {
            bytes: sum_len(volumes.iter().map(|volume| volume.bytes)),
            volumes,
            facts: self.facts,
            free_bytes: None,
            target: target_needs(planned.manifest(), sum_len(planned.lens())),
            refusal,
        };
        if self.output == Output::Files {
            let path = self.target.output.clone();
            let free = move || {
                let near = existing_ancestor(&path)?;
                Ok::<_, OpsError>(hod_fsx::available(near)?)
            };
            forecast.free_bytes = Some(hod_bridge::run(free).await?);
        }
        self.forecast = Some(forecast);
        Ok(())
    }
}

fn target_needs(manifest: &BundleManifest, bundle_bytes: u64) -> TargetNeeds {
    let carried = manifest.blobs.iter().map(|blob| (&blob.digest, blob.size));
    let sizes: HashMap<&Digest, u64> = carried.collect();
    let base: HashMap<&Digest, &BaseBlob> = manifest.base.iter().map(|b| (&b.digest, b)).collect();
    // In Harbor the first component of a repository is its project; a repository with a single
    // component is put into a project by the push.
    let mut of_projects: BTreeMap<&str, HashSet<&Digest>> = BTreeMap::new();
    for image in &manifest.images {
        let Some((project, _)) = image.repository.as_str().split_once('/') else {
            continue;
        };
        let digests = of_projects.entry(project).or_default();
        digests.extend(image.manifests.iter().chain(&image.blobs));
    }
    let len_in = |project: &str, digest: &Digest| match base.get(digest) {
        Some(blob) if is_held(blob, project) => 0,
        Some(blob) => blob.size,
        None => sizes.get(digest).copied().unwrap_or_default(),
    };
    let projects = of_projects
        .into_iter()
        .map(|(project, digests)| ProjectNeed {
            project: project.to_owned(),
            bytes: sum_len(digests.iter().map(|digest| len_in(project, digest))),
        });
    TargetNeeds {
        bundle_bytes,
        registry_bytes: sum_len(manifest.blobs.iter().map(|blob| blob.size)),
        largest_blob_bytes: manifest.blobs.iter().map(|b| b.size).max().unwrap_or(0),
        projects: projects.collect(),
    }
}

/// Returns true if any holder has the blob in this project.
fn is_held(blob: &BaseBlob, project: &str) -> bool {
    let mut names = blob.held.iter().flat_map(|held| &held.repositories);
    names.any(|name| name.as_str().split('/').next() == Some(project))
}
