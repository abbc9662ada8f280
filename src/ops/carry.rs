//! Determines what is carried of an image: options apply to all images, and the image's line of a
//! list takes precedence, with every verb.

use super::platforms::PlatformOptions;
use hod_list::{IndexChoice, LineOptions};
use hod_oci::{Digest, ForeignLayers, PlatformChoice};
use hod_transfer::{Destination, IndexMode, Locate, ReferrerMode, Wanted};

/// The options on the command line, which apply to all images.
#[derive(Debug, Clone, Copy)]
pub struct Carry<'a> {
    /// Everything that the source has, if there are none.
    pub platforms: Option<&'a PlatformChoice>,
    /// Without it, an index is rewritten if platforms are selected, and kept otherwise.
    pub index: Option<IndexMode>,
    pub referrers: ReferrerMode,
    pub foreign_layers: ForeignLayers,
}

/// The options for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageChoice {
    pub(super) platforms: PlatformChoice,
    pub(super) index_mode: IndexMode,
    /// The digest that a rewritten index must have.
    pub(super) rewritten: Option<Digest>,
    pub(super) referrers: ReferrerMode,
    pub(super) foreign_layers: ForeignLayers,
}

impl<'a> Carry<'a> {
    /// For a local source: everything that it has, including foreign layers.
    pub(super) fn local(platforms: &'a PlatformOptions, referrers: ReferrerMode) -> Self {
        Self {
            platforms: platforms.platforms.as_ref(),
            index: platforms.index,
            referrers,
            foreign_layers: ForeignLayers::Fetch,
        }
    }

    /// The options for the image of a line.
    pub(super) fn of(&self, line: &LineOptions) -> ImageChoice {
        let platforms = line.platforms.as_ref().or(self.platforms);
        let default = match platforms {
            Some(_) => IndexMode::Fitting,
            None => IndexMode::Keep,
        };
        let (index_mode, rewritten) = match &line.index {
            None => (self.index.unwrap_or(default), None),
            Some(IndexChoice::Keep) => (IndexMode::Keep, None),
            Some(IndexChoice::Rewrite(digest)) => (IndexMode::Rewrite, digest.clone()),
        };
        ImageChoice {
            platforms: platforms.cloned().unwrap_or(PlatformChoice::All),
            index_mode,
            rewritten,
            referrers: line.referrers.unwrap_or(self.referrers),
            foreign_layers: line.foreign_layers.unwrap_or(self.foreign_layers),
        }
    }
}

impl ImageChoice {
    /// The image of these options.
    pub(super) fn wanted(self, name: String, locate: Locate, destination: Destination) -> Wanted {
        Wanted {
            name,
            locate,
            platforms: self.platforms,
            index_mode: self.index_mode,
            pinned: None,
            rewritten: self.rewritten,
            referrers: self.referrers,
            foreign_layers: self.foreign_layers,
            destination,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hod_list::ListSource;

    fn line(options: &str) -> LineOptions {
        let text = format!("a/b:1 {options}");
        let source = ListSource {
            name: "list",
            text: &text,
        };
        let list = hod_list::parse(&[source], &[]).unwrap();
        list.lines[0].stem().options.clone()
    }

    fn text(carried: &ImageChoice) -> String {
        let ImageChoice {
            platforms,
            index_mode,
            rewritten,
            referrers,
            foreign_layers,
        } = carried;
        let pinned = if rewritten.is_some() { "@" } else { "" };
        format!("{platforms} {index_mode:?}{pinned} {referrers:?} {foreign_layers:?}")
    }

    #[test]
    fn the_line_takes_precedence() {
        let arm: PlatformChoice = "linux/arm64".parse().unwrap();
        let with = |platforms, index| Carry {
            platforms,
            index,
            referrers: ReferrerMode::Carry,
            foreign_layers: ForeignLayers::Fetch,
        };
        let leave = Carry {
            referrers: ReferrerMode::Leave,
            foreign_layers: ForeignLayers::Leave,
            ..with(None, None)
        };
        let index = format!("index=rewrite@sha256:{}", "a".repeat(64));
        for (carry, options, expect) in [
            (with(None, None), "", "all Keep Carry Fetch"),
            (
                with(Some(&arm), None),
                "",
                "linux/arm64 Fitting Carry Fetch",
            ),
            (
                with(Some(&arm), Some(IndexMode::Keep)),
                "platform=linux/amd64",
                "linux/amd64 Keep Carry Fetch",
            ),
            (with(None, None), "platform=all", "all Fitting Carry Fetch"),
            (
                with(None, None),
                "platform=linux/amd64",
                "linux/amd64 Fitting Carry Fetch",
            ),
            (
                with(None, Some(IndexMode::Rewrite)),
                "index=keep",
                "all Keep Carry Fetch",
            ),
            (
                with(None, Some(IndexMode::Keep)),
                "index=rewrite",
                "all Rewrite Carry Fetch",
            ),
            (with(None, None), &index, "all Rewrite@ Carry Fetch"),
            (leave, "", "all Keep Leave Leave"),
            (
                leave,
                "referrers=yes foreign-layers=yes",
                "all Keep Carry Fetch",
            ),
            (
                with(None, None),
                "referrers=no foreign-layers=no",
                "all Keep Leave Leave",
            ),
        ] {
            assert_eq!(
                text(&carry.of(&line(options))),
                expect,
                "{carry:?} {options}"
            );
        }
    }
}
