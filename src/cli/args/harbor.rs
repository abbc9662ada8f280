//! Flags for pushing into a Harbor.

use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::size;

use hod_registry::ProjectAccess;

#[derive(Debug, Args)]
#[command(next_help_heading = "Preflight")]
pub(crate) struct PreflightArgs {
    /// Create missing projects in Harbor; they are `private` unless `=public` is given
    #[arg(long, value_enum, value_name = "ACCESS", num_args = 0..=1, require_equals = true,
          default_missing_value = "private")]
    pub(crate) create_projects: Option<AccessArg>,

    /// The quota of created projects, such as `200GiB`; only administrators can set it
    #[arg(long, value_name = "SIZE", requires = "create_projects")]
    pub(crate) project_quota: Option<QuotaArg>,

    /// Skip the checks for problems before the run
    #[arg(long, conflicts_with = "create_projects")]
    pub(crate) no_preflight: bool,
}

/// Who may pull from a project that is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccessArg {
    /// Only members can pull
    Private,
    /// Everyone can pull
    Public,
}

impl From<AccessArg> for ProjectAccess {
    fn from(arg: AccessArg) -> Self {
        match arg {
            AccessArg::Private => Self::Private,
            AccessArg::Public => Self::Public,
        }
    }
}

/// A quota, in bytes; never 0, which to Harbor means its own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuotaArg(pub(crate) u64);

impl FromStr for QuotaArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Harbor keeps it as a signed number.
        let len = size::parse(text).filter(|len| *len > 0 && i64::try_from(*len).is_ok());
        let len = len.ok_or_else(|| "expected a size such as `200GiB` or `1TiB`".to_owned())?;
        Ok(Self(len))
    }
}

#[cfg(test)]
mod tests {
    use super::QuotaArg;

    #[test]
    fn quotas_have_units() {
        #[track_caller]
        fn check(text: &str, expect: Option<u64>) {
            let actual = text.parse::<QuotaArg>().ok().map(|quota| quota.0);
            assert_eq!(actual, expect, "{text}");
        }
        check("200GiB", Some(200 << 30));
        check("1073741824", Some(1 << 30));
        check("0", None);
        check("0GiB", None);
        check("-1", None);
        check("5 parsecs", None);
        check("9000000TiB", None);
    }
}
