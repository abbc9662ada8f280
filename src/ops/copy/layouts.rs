//! Layouts and archives of other tools as targets. Each format is one file and one
//! [`LayoutFormat`].

mod archive;
mod dir;
mod docker_archive;
mod fill;
mod format;
mod oci;
mod oci_archive;

use std::path::Path;

use async_trait::async_trait;

pub use dir::DirLayouts;
pub use docker_archive::DockerArchive;
pub use format::{LayoutFormat, LayoutTarget};
pub use oci::OciLayout;
pub use oci_archive::OciArchive;

use self::fill::Ready;
use self::format::Looked;
use super::CopyOptions;
use super::target::{CopyTarget, Prepared};
use crate::batch::{
    Batch, TargetName, existing_ancestor, require_links, require_other, require_reachable,
    require_same_filesystem, require_space, require_writable,
};
use crate::input::OpenInput;
use crate::{Context, Fewer, OpsError, OutputError, RunMode, base};
use hod_fsx::LinkMode;
use hod_list::RenameRules;
use hod_store::Store;
use hod_transfer::{ChosenImage, Keeping, LinkChoice, Plan, Visibility};

#[async_trait(?Send)]
#[expect(private_interfaces, reason = "only copy calls it")]
impl CopyTarget for LayoutTarget {
    fn name(&self) -> TargetName {
        TargetName::Path(self.path.clone())
    }

    fn image(&self) -> Option<&ChosenImage> {
        self.image.as_ref()
    }

    fn renames(&self, rules: &RenameRules) -> Option<RenameRules> {
        rules.if_any()
    }

    async fn check(&self) -> Result<(), OpsError> {
        require_reachable(&self.path).await
    }

    async fn accept(&self, cx: &Context, input: &OpenInput<'_>) -> Result<(), OpsError> {
        self.format.accept(input)?;
        let read = input.input().path().map(Path::to_owned);
        let (format, path, cx) = (self.format, self.path.clone(), cx.clone());
        let look = move || {
            require_other(&path, read.as_deref())?;
            require_free(&cx, format, &path)?;
            require_writable(&path, format.require_writable(&path))
        };
        hod_bridge::run(look).await
    }

    async fn prepare<'a>(
        &'a self,
        cx: &'a Context,
        options: &'a CopyOptions,
        input: &OpenInput<'a>,
        mut batch: Batch,
    ) -> Result<Box<dyn Prepared + 'a>, OpsError> {
        let source = input.source.as_ref();
        base::require_whole(source, input.path(), &batch.plan)?;
        let places = self.format.require_places(&self.path, &batch.plan);
        places.await?;
        let filler = self.format.look(cx, source, &mut batch).await;
        let link = self.link(input, &batch.plan)?;
        let needed = self.require_room(input, &batch.plan, link)?;
        let would_move = match options.mode {
            RunMode::DryRun => Some(batch.forecast(source, None, Visibility::Growing).await?),
            RunMode::Real => None,
        };
        let looked = Looked {
            cx,
            target: self,
            options,
            source: input.source.clone(),
            batch,
            link,
        };
        Ok(Box::new(Ready {
            looked,
            filler,
            needed,
            would_move,
        }))
    }
}

impl LayoutTarget {
    /// Returns how to place blobs; refuses requested links that are impossible.
    fn link(&self, input: &OpenInput<'_>, plan: &Plan) -> Result<LinkChoice, OpsError> {
        let source = input.source.as_ref();
        if self.format.is_archive() || source.caps().keeping != Keeping::Files {
            return Ok(LinkChoice::Only(LinkMode::Copy));
        }
        match self.link {
            Some(LinkMode::Copy) => {}
            Some(mode) => {
                if mode == LinkMode::Hard {
                    require_same_filesystem(input.path(), &self.path, plan.len())?;
                }
                require_links(source, plan, &self.path, mode)?;
                return Ok(LinkChoice::Only(mode));
            }
            None if hod_fsx::same_filesystem(input.path(), existing_ancestor(&self.path)?)? => {
                return Ok(LinkChoice::HardOrCopy);
            }
            None => {}
        }
        Ok(LinkChoice::Only(LinkMode::Copy))
    }

    /// Refuses content that does not fit on the disk; returns the required bytes.
    fn require_room(
        &self,
        input: &OpenInput<'_>,
        plan: &Plan,
        link: LinkChoice,
    ) -> Result<u64, OpsError> {
        if link != LinkChoice::Only(LinkMode::Copy) {
            return Ok(0);
        }
        let needed = self.format.len(plan, self.mtime);
        let fewer = if input.source.is_remote() {
            Fewer::List
        } else {
            Fewer::Only
        };
        require_space(&self.path, needed, fewer)?;
        Ok(needed)
    }
}

/// Refuses an existing path to which the format cannot add images.
fn require_free(
    cx: &Context,
    format: &'static dyn LayoutFormat,
    path: &Path,
) -> Result<(), OpsError> {
    if Store::detect(path)? {
        let path = path.to_owned();
        return Err(OutputError::IsStore { path }.into());
    }
    format.require_free(cx, path)
}
