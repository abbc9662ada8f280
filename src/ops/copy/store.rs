//! A store as a target: one that lasts, or a tree of selected images.

mod fill;
mod replace;
mod room;
mod target;

use std::path::PathBuf;

use async_trait::async_trait;

use self::fill::Looked;
pub(crate) use self::fill::files_besides;
use self::replace::Replacement;
use self::room::Sharing;
use self::target::existing;
pub use self::target::{Others, StoreTarget};
use super::target::{CopyOptions, CopyTarget, Prepared};
use crate::batch::{Batch, TargetName, require_other, require_reachable, require_writable};
use crate::catalog::require_store_path;
use crate::input::OpenInput;
use crate::platforms::{self, Mismatch};
use crate::{Context, Input, OpsError, OutputError, RunMode, base, indirect};
use hod_fsx::{Durability, LinkMode};
use hod_list::RenameRules;
use hod_store::{Retained, Store};
use hod_transfer::{OnFailure, Plan, Visibility, publications};

impl StoreTarget {
    /// A store that grows and lasts, and in which a later run continues.
    pub fn lasting(path: PathBuf) -> Self {
        Self {
            path,
            link: LinkMode::Copy,
            durability: Durability::Synced,
            visibility: Visibility::Growing,
            others: Others::Keep,
        }
    }

    fn on_failure(&self, options: &CopyOptions) -> OnFailure {
        if self.is_whole() {
            OnFailure::Stop
        } else {
            options.on_failure
        }
    }

    /// The number of other images in a tree, which is reported; refuses them unless they may stay.
    fn n_others(&self, plan: &Plan) -> Result<usize, OpsError> {
        let is_tree = self.durability == Durability::Deferred;
        let Some(tree) = existing(&self.path)?.filter(|_| is_tree) else {
            return Ok(0);
        };
        let selected = Retained::of(&publications(plan));
        let images = tree.images()?;
        let others = images.images.iter().filter(|image| !selected.has(image));
        let n_others = others.count() + images.unreadable.len();
        if n_others > 0 && self.others == Others::Refuse {
            let path = self.path.clone();
            return Err(OpsError::OtherImages { path, n_others });
        }
        Ok(n_others)
    }
}

#[async_trait(?Send)]
#[expect(private_interfaces, reason = "only copy calls it")]
impl CopyTarget for StoreTarget {
    fn name(&self) -> TargetName {
        TargetName::Path(self.path.clone())
    }

    /// A layout could not be read any more if a store were beside it.
    async fn check(&self) -> Result<(), OpsError> {
        require_reachable(&self.path).await?;
        let path = self.path.clone();
        hod_bridge::run(move || require_no_layout(path)).await
    }

    fn renames(&self, rules: &RenameRules) -> Option<RenameRules> {
        rules.if_any()
    }

    async fn known(&self) -> Result<Option<Store>, OpsError> {
        let path = self.path.clone();
        hod_bridge::run(move || existing(&path)).await
    }

    /// If the source must be complete, everything except blobs is checked before anything is
    /// created.
    async fn accept(&self, _: &Context, input: &OpenInput<'_>) -> Result<(), OpsError> {
        let path = self.path.clone();
        hod_bridge::run(move || require_writable(&path, Store::require_writable(&path))).await?;
        if self.is_whole()
            && let Some(bundle) = input.source.as_bundle().cloned()
        {
            bundle.require_complete()?;
            hod_bridge::run(move || bundle.check_all_but_blobs()).await?;
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.visibility == Visibility::AllOrNothing
    }

    /// The configs are local after filling; before, each costs a request.
    fn checks_platforms(&self, input: &Input) -> bool {
        let is_remote = matches!(input, Input::Registries(_));
        is_remote && input.platforms().mismatch == Mismatch::Warn
    }

    async fn prepare<'a>(
        &'a self,
        cx: &'a Context,
        options: &'a CopyOptions,
        input: &OpenInput<'a>,
        batch: Batch,
    ) -> Result<Box<dyn Prepared + 'a>, OpsError> {
        let mut looked = Looked::new(cx, (self, options), batch);
        if looked.batch.plan.is_empty() {
            return Ok(Box::new(looked));
        }
        platforms::warn_of_partial(cx, input.source.as_ref(), &looked.batch);
        require_other(&self.path, input.input().path())?;
        let (store, source) = (self.known().await?, input.source.as_ref());
        let (from, batch) = (input.path(), &mut looked.batch);
        base::await_at_store(source, from, store.clone(), &self.path, batch).await?;
        let sharing = match options.targets.len() {
            1 => Sharing::None,
            _ => Sharing::Possible,
        };
        looked.needed = room::require(self, sharing, input, &looked.batch.plan).await?;
        let on_failure = self.on_failure(options);
        indirect::require_real(&self.path, &looked.batch.plan, on_failure).await?;
        let is_dry = options.mode == RunMode::DryRun;
        if self.others == Others::Remove {
            let replacement = Replacement::new(cx, self, options.mode, input).await?;
            let replacement = looked.replacement.insert(replacement);
            if let (true, Some(tree)) = (is_dry, &store) {
                replacement.survey(&looked.batch.plan, tree).await?;
            }
        } else {
            looked.n_others = self.n_others(&looked.batch.plan)?;
        }
        if is_dry {
            let forecast = looked.batch.forecast(source, store, self.visibility);
            looked.would_move = Some(forecast.await?);
            if let Some(replacement) = &mut looked.replacement {
                replacement.finish(&looked.batch).await?;
            }
        }
        Ok(Box::new(looked))
    }
}

/// Refuses a path where a store cannot be created: a file or a layout.
fn require_no_layout(path: PathBuf) -> Result<(), OpsError> {
    require_store_path(&path)?;
    if Store::detect(&path)? {
        return Ok(());
    }
    let kind = match hod_layout::kind_of_one(&path)? {
        // Unreadable entries, such as `lost+found`, are ignored.
        None if matches!(hod_layout::detect(&path), Ok(true)) => {
            Some("a directory of `dir:` layouts")
        }
        kind => kind,
    };
    match kind {
        Some(kind) => Err(OutputError::IsLayout {
            path,
            kind,
            wanted: "a store",
        }
        .into()),
        None => Ok(()),
    }
}
