//! The table of transports as targets: one line for each.

use std::path::PathBuf;

use super::super::bundle::bundle;
use crate::cli::error::CommandError;
use crate::cli::settings;
use hod_fsx::LinkMode;
use hod_ops::{
    CopyTarget, DirLayouts, DockerArchive, LayoutFormat, LayoutTarget, OciArchive, OciLayout,
    StoreTarget,
};
use hod_transfer::{ChosenImage, Transport};

/// A file or directory as a target.
struct Local {
    path: PathBuf,
    /// The name of the only image that is copied there.
    image: Option<ChosenImage>,
    link: Option<LinkMode>,
}

/// A path that a transport names as a target.
pub(in crate::cli::commands) fn local(
    transport: Transport,
    path: PathBuf,
    image: Option<ChosenImage>,
    link: Option<LinkMode>,
) -> Result<Box<dyn CopyTarget>, CommandError> {
    let local = Local { path, image, link };
    match transport {
        Transport::Store => Ok(Box::new(local.store())),
        Transport::Bundle => local.bundle(),
        Transport::Dir => local.layout(&DirLayouts),
        Transport::Oci => local.layout(&OciLayout),
        Transport::OciArchive => local.layout(&OciArchive),
        Transport::DockerArchive => local.layout(&DockerArchive),
    }
}

impl Local {
    fn store(self) -> StoreTarget {
        StoreTarget {
            link: self.link.unwrap_or(LinkMode::Copy),
            ..StoreTarget::lasting(self.path)
        }
    }

    fn bundle(self) -> Result<Box<dyn CopyTarget>, CommandError> {
        self.require_no_stream()?;
        Ok(Box::new(bundle(&self.path)?))
    }

    fn layout(
        self,
        format: &'static dyn LayoutFormat,
    ) -> Result<Box<dyn CopyTarget>, CommandError> {
        self.require_no_stream()?;
        if format.is_archive() {
            settings::require_file(&self.path)?;
        }
        Ok(Box::new(LayoutTarget {
            path: self.path,
            format,
            image: self.image,
            link: self.link,
            mtime: settings::source_date_epoch()?,
        }))
    }

    fn require_no_stream(&self) -> Result<(), CommandError> {
        if hod_fsx::is_stdout(&self.path) {
            let path = self.path.clone();
            return Err(CommandError::OutputStream { path });
        }
        Ok(())
    }
}
