//! Replaces the content of a tree: afterwards it has only the copied images.

use std::path::{Path, PathBuf};

use super::{StoreTarget, existing};
use crate::batch::Batch;
use crate::input::OpenInput;
use crate::{BatchOutcome, Context, OpsError, RemovedImage, RunMode};
use hod_fsx::DirLock;
use hod_report::amount::{format_count, format_len};
use hod_report::chain;
use hod_store::{Retained, Store, Surplus};
use hod_transfer::{Plan, publications};

/// Maximum number of files named in a line.
const SHOWN_MAX: usize = 5;

/// The removal of images that are not copied.
///
/// Refused, with nothing changed, if the source store does not have all of an image to remove, so
/// that removed images can be copied again. Nothing is removed if an image failed.
pub(super) struct Replacement<'a> {
    cx: &'a Context,
    target: &'a StoreTarget,
    mode: RunMode,
    origin: Origin,
    surplus: Option<Surplus>,
    removed: Vec<RemovedImage>,
    left_files: Vec<String>,
}

/// The store that is copied from.
struct Origin {
    path: PathBuf,
    store: Store,
    /// Until the end, so that nothing that is relied on is removed from it.
    _held: Option<DirLock>,
}

impl<'a> Replacement<'a> {
    /// Refuses a source that is not a store, and one that is the tree itself.
    pub(super) async fn new(
        cx: &'a Context,
        target: &'a StoreTarget,
        mode: RunMode,
        input: &OpenInput<'_>,
    ) -> Result<Self, OpsError> {
        let Some(store) = input.source.as_store().cloned() else {
            return Err(input.refused("select with `--replace`"));
        };
        let path = input.path().to_owned();
        require_apart(&path, &target.path)?;
        let lock = move |path: &Path| Store::open(path)?.hold();
        let held = cx.open_store(&path, lock).await?;
        Ok(Self {
            cx,
            target,
            mode,
            origin: Origin {
                path,
                store,
                _held: held,
            },
            surplus: None,
            removed: Vec::new(),
            left_files: Vec::new(),
        })
    }

    /// Determines the surplus of a tree that no other process uses.
    pub(super) async fn check(&mut self, plan: &Plan, tree: &Store) -> Result<(), OpsError> {
        tree.require_apart(&self.origin.store)?;
        self.survey(plan, tree).await
    }

    /// Determines the surplus to remove; refuses when an image would be lost.
    pub(super) async fn survey(&mut self, plan: &Plan, tree: &Store) -> Result<(), OpsError> {
        require_apart(&self.origin.path, &self.target.path)?;
        self.cx.stage("comparing the tree with the store");
        let kept = Retained::of(&publications(plan));
        let (tree, origin) = (tree.clone(), self.origin.store.clone());
        let survey = move |stop: hod_bridge::Stop| tree.surplus(&kept, &origin, &stop);
        let surplus = hod_bridge::run_stoppable(survey).await?;
        if !surplus.lost().is_empty() {
            return Err(OpsError::WouldLose {
                path: self.target.path.clone(),
                store: self.origin.path.clone(),
                images: surplus.lost().iter().map(ToString::to_string).collect(),
            });
        }
        self.surplus = Some(surplus);
        Ok(())
    }

    /// Removes the surplus, or reports what would be removed, unless an image failed.
    pub(super) async fn finish(&mut self, batch: &Batch) -> Result<(), OpsError> {
        let Some(surplus) = self.surplus.take() else {
            return Ok(());
        };
        if batch.has_failures() {
            self.tell_kept(&surplus);
            return Ok(());
        }
        self.describe(&surplus);
        if self.mode == RunMode::DryRun {
            return Ok(());
        }
        self.cx.stage("removing other images");
        let removal = hod_bridge::run_stoppable(move |stop| surplus.remove(&stop)).await;
        let removal = removal.map_err(|source| OpsError::NotRemoved {
            path: self.target.path.clone(),
            source,
        })?;
        let left = removal.left.iter();
        self.left_files = left.map(|path| path.display().to_string()).collect();
        if removal.n_blobs > 0 {
            self.cx.note(&format!(
                "removed {} ({}) from `{}` that no selected image uses",
                format_count(removal.n_blobs, "blob"),
                format_len(removal.len),
                self.target.path.display()
            ));
        }
        Ok(())
    }

    /// Adds the removed images to the outcome.
    pub(super) fn add_to(self, outcome: &mut BatchOutcome) {
        outcome.removed = self.removed;
        outcome.left_files = self.left_files;
    }

    /// Warns that nothing is removed because an image failed.
    fn tell_kept(&self, surplus: &Surplus) {
        if surplus.images().is_empty() {
            return;
        }
        let verb = match self.mode {
            RunMode::Real => "was",
            RunMode::DryRun => "would be",
        };
        self.cx.warn(&format!(
            "nothing {verb} removed from `{}`: some images failed",
            self.target.path.display()
        ));
    }

    /// Reports the images to remove, and the files that stay.
    fn describe(&mut self, surplus: &Surplus) {
        let path = self.target.path.display();
        let images = surplus.images();
        if !images.is_empty() {
            let verb = match self.mode {
                RunMode::Real => "removing",
                RunMode::DryRun => "would remove",
            };
            let mut text = format!(
                "{verb} {} from `{path}`:",
                format_count(images.len(), "image")
            );
            for image in images {
                text.push('\n');
                text.push_str(&image.to_string());
                if image.tag.is_some() {
                    text.push('@');
                    text.push_str(image.digest.as_str());
                }
                if surplus.is_untagged(image) {
                    text.push_str(" (the store has it without a tag: select it by its digest)");
                }
            }
            self.cx.note(&text);
        }
        let removed = images.iter().map(|image| RemovedImage {
            image: image.to_string(),
            digest: image.digest.clone(),
            untagged_in_store: surplus.is_untagged(image),
        });
        self.removed = removed.collect();
        for tag in surplus.unreadable() {
            let cause = chain(&tag.error);
            self.cx
                .warn(&format!("tag `{tag}` in `{path}` stays: {cause}"));
        }
        let left = surplus.left().iter();
        let mut left: Vec<String> = left.map(|path| path.display().to_string()).collect();
        if !left.is_empty() {
            let n_files = format_count(left.len(), "file");
            self.cx.warn(&format!(
                "{n_files} in `{path}` that `select` did not write stay: {}",
                some(&left)
            ));
        }
        let tags = surplus.unreadable_files().iter();
        left.extend(tags.map(|path| path.display().to_string()));
        self.left_files = left;
    }
}

/// The first names, and the number of others.
fn some(names: &[String]) -> String {
    let shown = names.len().min(SHOWN_MAX);
    let text = names[..shown].join(", ");
    match names.len() - shown {
        0 => text,
        n => format!("{text} and {n} more"),
    }
}

/// Refuses when the store and the output are one directory, however they are named, or one is
/// inside the other.
fn require_apart(store: &Path, output: &Path) -> Result<(), OpsError> {
    let refused = || OpsError::OutputIsSource {
        path: output.to_owned(),
    };
    for (inner, outer) in [(store, output), (output, store)] {
        if hod_fsx::is_within(inner, outer)? {
            return Err(refused());
        }
    }
    if let Some(tree) = existing(output)?
        && tree.shares_directory(&Store::open(store)?)?
    {
        return Err(refused());
    }
    Ok(())
}
