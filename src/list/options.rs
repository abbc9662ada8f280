//! The `key=value` columns of a line, which determine what is carried of an image.

use std::fmt;

use hod_oci::{Digest, ForeignLayers, PlatformChoice, ReferrerMode};

use super::problem::LineProblem;

/// The options in a line for carrying its image; the user's flags apply where it has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineOptions {
    /// `platform=`
    pub platforms: Option<PlatformChoice>,
    /// `index=`
    pub index: Option<IndexChoice>,
    /// `referrers=`
    pub referrers: Option<ReferrerMode>,
    /// `foreign-layers=`
    pub foreign_layers: Option<ForeignLayers>,
}

/// How to treat an index if only some of its platforms are carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexChoice {
    /// It keeps its bytes.
    Keep,
    /// The index is rewritten, and must then have this digest, if one is given.
    Rewrite(Option<Digest>),
}

impl LineOptions {
    /// The same options in one form: the order of platforms does not matter.
    pub(super) fn normalised(&self) -> Self {
        Self {
            platforms: self.platforms.as_ref().map(PlatformChoice::sorted),
            ..self.clone()
        }
    }

    /// Takes a column `key=value`; `columns` are it and all that follow it.
    pub(super) fn set(
        &mut self,
        key: &str,
        value: &str,
        columns: &[&str],
    ) -> Result<(), LineProblem> {
        let column = columns[0];
        let twice = || LineProblem::new(column, format!("`{key}=` is given twice"));
        let unknown = |known: &str| {
            let reason = format!("`{key}={value}` is unknown; {known} are known");
            LineProblem::new(column, reason)
        };
        let is_yes = || match value {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(unknown("`yes` and `no`")),
        };
        match key {
            "platform" if self.platforms.is_some() => Err(twice()),
            "platform" => {
                self.platforms = Some(platforms(value, columns)?);
                Ok(())
            }
            "index" if self.index.is_some() => Err(twice()),
            "index" => {
                self.index = Some(match value.split_once('@') {
                    None if value == "keep" => IndexChoice::Keep,
                    None if value == "rewrite" => IndexChoice::Rewrite(None),
                    Some(("rewrite", digest)) => {
                        let digest = digest.parse::<Digest>();
                        let digest =
                            digest.map_err(|error| LineProblem::new(column, error.to_string()))?;
                        IndexChoice::Rewrite(Some(digest))
                    }
                    _ => return Err(unknown("`keep`, `rewrite` and `rewrite@DIGEST`")),
                });
                Ok(())
            }
            "referrers" if self.referrers.is_some() => Err(twice()),
            "referrers" => {
                self.referrers = Some(if is_yes()? {
                    ReferrerMode::Carry
                } else {
                    ReferrerMode::Leave
                });
                Ok(())
            }
            "foreign-layers" if self.foreign_layers.is_some() => Err(twice()),
            "foreign-layers" => {
                self.foreign_layers = Some(if is_yes()? {
                    ForeignLayers::Fetch
                } else {
                    ForeignLayers::Leave
                });
                Ok(())
            }
            _ => Err(LineProblem {
                fix: is_like_platform(key, value).then(|| format!("platform={value}")),
                ..LineProblem::new(
                    column,
                    format!(
                        "`{key}=` is unknown; `platform=`, `index=`, `referrers=`, \
                         `foreign-layers=`, `as=`, `to=` and `limit=` are known"
                    ),
                )
            }),
        }
    }
}

impl fmt::Display for LineOptions {
    /// Writes the columns, each with a blank before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes_no = |is_yes: bool| if is_yes { "yes" } else { "no" };
        if let Some(platforms) = &self.platforms {
            write!(f, " platform={platforms}")?;
        }
        match &self.index {
            None => {}
            Some(IndexChoice::Keep) => f.write_str(" index=keep")?,
            Some(IndexChoice::Rewrite(None)) => f.write_str(" index=rewrite")?,
            Some(IndexChoice::Rewrite(Some(digest))) => write!(f, " index=rewrite@{digest}")?,
        }
        if let Some(referrers) = self.referrers {
            let carried = yes_no(referrers == ReferrerMode::Carry);
            write!(f, " referrers={carried}")?;
        }
        if let Some(foreign_layers) = self.foreign_layers {
            let fetched = yes_no(foreign_layers == ForeignLayers::Fetch);
            write!(f, " foreign-layers={fetched}")?;
        }
        Ok(())
    }
}

/// Reads the value of `platform=`; distinguishes a value with blanks in it from a wrong one.
pub(super) fn platforms(value: &str, columns: &[&str]) -> Result<PlatformChoice, LineProblem> {
    let error = match value.parse::<PlatformChoice>() {
        Ok(platforms) => return Ok(platforms),
        Err(error) => error,
    };
    let column = columns[0];
    let all = columns.concat();
    let all = all.trim_start_matches("--");
    let is_split = columns.len() > 1 && (value.ends_with(',') || columns[1].starts_with(','));
    if is_split && is_like_platform("platform", &all["platform=".len()..]) {
        return Err(LineProblem {
            fix: Some(all.to_owned()),
            ..LineProblem::new(column, "no blanks are allowed between platforms")
        });
    }
    let fixed = value.to_lowercase().replace('，', ",");
    let fixed = fixed
        .trim_end_matches([',', ';', '"', '\''])
        .trim_start_matches(['"', '\'']);
    let fix = match error.meant() {
        Some(meant) if !value.contains([',', '，']) => Some(format!("platform={meant}")),
        _ => is_like_platform("platform", fixed).then(|| format!("platform={fixed}")),
    };
    Err(LineProblem {
        fix,
        ..LineProblem::new(column, error.to_string())
    })
}

/// Returns true if `key=value` is probably a mistake for `platform=value`.
fn is_like_platform(key: &str, value: &str) -> bool {
    let key = key.to_lowercase();
    let is_key = key.trim_start_matches('-').starts_with("platform") || key == "arch";
    is_key && value.parse::<PlatformChoice>().is_ok()
}
