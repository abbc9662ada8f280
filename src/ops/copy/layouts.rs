//! Layouts and archives of other tools as targets.

mod archive;
mod docker;
mod fill;

use std::path::PathBuf;

use async_trait::async_trait;

use self::docker::Configs;
use self::fill::Looked;
use super::CopyOptions;
use super::target::{CopyTarget, Prepared};
use crate::fsx::{self, LinkMode};
use crate::layout::{self, LayoutError, OciDirWriter};
use crate::list::RenameRules;
use crate::ops::batch::{
    Batch, TargetName, existing_ancestor, require_links, require_other, require_same_filesystem,
    require_space,
};
use crate::ops::input::OpenInput;
use crate::ops::{Catalog, Context, Effect, Fewer, OpsError, OutputError, base, platforms};
use crate::report::amount::format_count;
use crate::store::Store;
use crate::transfer::{ChosenImage, Keeping, LinkChoice, OciSink, Plan, Resolved, Visibility};

/// Part of Docker's media types only.
const DOCKER: &str = "vnd.docker.";

/// A layout or archive to copy to; only what no other tool could take for its own is replaced.
#[derive(Debug)]
pub struct LayoutTarget {
    pub path: PathBuf,
    pub format: LayoutFormat,
    /// The name of the only image that is copied there.
    pub image: Option<ChosenImage>,
    /// How blobs that are files are taken over; `None` for hardlinks where possible, otherwise
    /// copies.
    pub link: Option<LinkMode>,
    /// The time of every member of an archive, in seconds since 1970.
    pub mtime: u64,
}

/// The format of images for other tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayoutFormat {
    /// A `dir:` layout for each image, at `PATH/<repository>:<tag>`.
    Dir,
    /// One OCI layout for all images, to which they are added.
    Oci,
    /// The same as a tar, which is new.
    OciArchive,
    /// A tar for `docker load`, which is new.
    DockerArchive,
}

impl LayoutFormat {
    /// Whether all images become visible together, in one file.
    fn is_archive(self) -> bool {
        matches!(self, Self::OciArchive | Self::DockerArchive)
    }
}

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

    async fn accept(&self, cx: &Context, input: &OpenInput<'_>) -> Result<(), OpsError> {
        if self.format == LayoutFormat::DockerArchive && input.source.is_sequential() {
            return Err(input.refused("export for `docker load`"));
        }
        require_other(&self.path, input.input().path())?;
        self.require_free(cx)
    }

    async fn prepare<'a>(
        &'a self,
        cx: &'a Context,
        options: &'a CopyOptions,
        (input, mut batch): (&OpenInput<'a>, Batch),
    ) -> Result<Box<dyn Prepared + 'a>, OpsError> {
        let source = input.source.as_ref();
        base::require_whole(source, input.path(), &batch.plan)?;
        let configs = if self.format == LayoutFormat::DockerArchive {
            docker::narrow(cx, source, &mut batch).await
        } else {
            platforms::warn_of_partial(cx, source, &batch);
            Configs::default()
        };
        self.tell_readers(cx, &batch.plan);
        let link = self.link(input, &batch.plan)?;
        let needed = self.require_room(input, (&batch.plan, link))?;
        let at = (None, Visibility::Growing);
        let would_move = match options.effect {
            Effect::DryRun => Some(batch.forecast(source, at).await?),
            Effect::Real => None,
        };
        Ok(Box::new(Looked {
            cx,
            target: self,
            options,
            source: input.source.clone(),
            batch,
            needed,
            link,
            configs,
            dir: None,
            would_move,
        }))
    }
}

impl LayoutTarget {
    /// Refuses a path where something is that the format does not add to.
    fn require_free(&self, cx: &Context) -> Result<(), OpsError> {
        let path = self.path.clone();
        if Store::detect(&path)? {
            return Err(OutputError::IsStore { path }.into());
        }
        let stat = fsx::try_stat(&path)?;
        match self.format {
            LayoutFormat::OciArchive | LayoutFormat::DockerArchive => {
                if stat.is_some_and(|stat| stat.is_file) {
                    let there = Catalog::open(&path, &cx.reading).ok();
                    let found = there.map(|there| there.kind().as_str());
                    return Err(OutputError::Exists { path, found }.into());
                }
            }
            LayoutFormat::Dir => {
                if stat.is_some_and(|stat| !stat.is_dir) {
                    return Err(LayoutError::Occupied { path, found: None }.into());
                }
                if let Some(kind) = layout::kind_of_one(&path)? {
                    let wanted = "a directory of `dir:` layouts";
                    return Err(OutputError::IsLayout { path, kind, wanted }.into());
                }
            }
            LayoutFormat::Oci => OciDirWriter::check(&path)?,
        }
        Ok(())
    }

    /// Says which tools cannot read what is written.
    fn tell_readers(&self, cx: &Context, plan: &Plan) {
        if !matches!(self.format, LayoutFormat::Oci | LayoutFormat::OciArchive) {
            return;
        }
        let is_docker = |image: &&Resolved| image.top().media_type().as_str().contains(DOCKER);
        let n_docker = plan.images.iter().filter(is_docker).count();
        if n_docker > 0 {
            cx.note(&format!(
                "{} manifests in Docker's format, which are kept as they are. containerd reads them \
                 from an OCI layout, skopeo does not; both read `dir:` layouts",
                match n_docker {
                    1 => "1 image has".to_owned(),
                    n => format!("{} have", format_count(n, "image")),
                }
            ));
        }
        let has_referrers = |image: &Resolved| !image.referrers.is_empty();
        if self.format == LayoutFormat::OciArchive && plan.images.iter().any(has_referrers) {
            cx.note(
                "the archive has signatures or other referrers, at which `ctr images import` of \
                 containerd fails: export with `--no-referrers`, or import with `--no-unpack`",
            );
        }
    }

    /// How blobs are taken over; refuses links that were asked for and cannot be made.
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
                require_links((source, plan), &self.path, mode)?;
                return Ok(LinkChoice::Only(mode));
            }
            None if fsx::same_filesystem(input.path(), existing_ancestor(&self.path)?)? => {
                return Ok(LinkChoice::HardOrCopy);
            }
            None => {}
        }
        Ok(LinkChoice::Only(LinkMode::Copy))
    }

    /// Refuses what does not fit on the disk; returns how many bytes it takes. Layers in a `docker save` archive grow when they are
    /// decompressed, by an unknown amount.
    fn require_room(
        &self,
        input: &OpenInput<'_>,
        (plan, link): (&Plan, LinkChoice),
    ) -> Result<u64, OpsError> {
        let needed = match self.format {
            LayoutFormat::OciArchive => OciSink::archive_plan(plan, self.mtime).archive_len(),
            _ if link == LinkChoice::Only(LinkMode::Copy) => plan.len(),
            _ => return Ok(0),
        };
        let fewer = if input.source.is_remote() {
            Fewer::List
        } else {
            Fewer::Only
        };
        require_space(&self.path, needed, fewer)?;
        Ok(needed)
    }
}
