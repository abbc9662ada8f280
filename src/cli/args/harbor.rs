//! Flags for pushing into a Harbor.

use std::str::FromStr;

use clap::{Args, ValueEnum};

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

    /// Parses bytes, or a whole number with a unit of 1024 (`GiB`, `G`) or of 1000 (`GB`).
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let n_digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(n_digits);
        let unit = unit.trim().to_ascii_lowercase();
        let factor: Option<u64> = match unit.as_str() {
            "" | "b" => Some(1),
            "k" | "kib" => Some(1 << 10),
            "m" | "mib" => Some(1 << 20),
            "g" | "gib" => Some(1 << 30),
            "t" | "tib" => Some(1 << 40),
            "kb" => Some(1000),
            "mb" => Some(1_000_000),
            "gb" => Some(1_000_000_000),
            "tb" => Some(1_000_000_000_000),
            _ => None,
        };
        let number: Option<u64> = number.parse().ok();
        let len = number.zip(factor).and_then(|(n, f)| n.checked_mul(f));
        // Harbor keeps it as a signed number.
        match len {
            Some(len) if len > 0 && i64::try_from(len).is_ok() => Ok(Self(len)),
            _ => Err("expected a size such as `200GiB` or `1TiB`".to_owned()),
        }
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
        check("200 g", Some(200 << 30));
        check("1TB", Some(1_000_000_000_000));
        check("1073741824", Some(1 << 30));
        check("0", None);
        check("0GiB", None);
        check("-1", None);
        check("1.5GiB", None);
        check("GiB", None);
        check("5 parsecs", None);
        check("99999999999TiB", None);
        check("9000000TiB", None);
    }
}
