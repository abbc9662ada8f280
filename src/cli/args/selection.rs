//! Flags for choosing images and their names.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use hod_fsx::LinkMode;
use hod_list::RenameRule;
use hod_oci::RepositoryName;

/// Lists that a verb cannot do without.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Lists of images: files, directories (their `*.list` and `*.txt` files, not those in
    /// subdirectories), or `-` for stdin
    ///
    /// One image per line, `[registry/]repository[:tag][@digest]`, with an optional second column for
    /// the name it is carried under, and `platform=linux/amd64,linux/arm64`. In the place of the tag,
    /// `*`, `~REGEX` or a range of versions stands for several, and `limit=N` for the newest of them.
    /// `#` starts a comment, and a line `##name` opens a section. A lock of `hod pull --lock` is a
    /// list too.
    #[arg(required = true, value_name = "LIST")]
    pub(crate) lists: Vec<PathBuf>,

    /// Only the images of this section of the lists; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) section: Vec<String>,
}

/// What a verb reads at registries.
#[derive(Debug, Args)]
pub(crate) struct ImagesArgs {
    /// Lists or images: files, directories (their `*.list` and `*.txt` files, not those in
    /// subdirectories), `-` for a list on stdin, images with a tag or digest; or one registry
    /// (`HOST[/PREFIX]`), for all that it has
    ///
    /// An image is written as in a line of a list: `[registry/]repository[:tag][@digest]`. In the
    /// place of the tag, `*`, `~REGEX` or a range of versions stands for several tags, and `limit=N`
    /// for the newest N of them: 'nginx:~1\.2[0-9]', 'quay.io/coreos/etcd:>=3.4 <3.6 limit=2'.
    ///
    /// A list has one image per line, with an optional second column for the name it is carried
    /// under, and `platform=linux/amd64,linux/arm64`. `#` starts a comment, and a line `##name` opens
    /// a section. A lock of `--lock` is a list too.
    #[arg(required = true, value_name = "LIST|IMAGE|REGISTRY")]
    pub(crate) lists: Vec<PathBuf>,

    /// Only the images of this section of the lists; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) section: Vec<String>,
}

impl ImagesArgs {
    /// What narrows lists.
    pub(crate) fn narrowed(&self) -> OnlyArgs {
        OnlyArgs {
            only: Vec::new(),
            section: self.section.clone(),
        }
    }
}

/// Lists that narrow what a source has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Choosing images")]
pub(crate) struct OnlyArgs {
    /// Only the images of this list: a file (also as `@FILE`), a directory, or `-` for stdin;
    /// may be given several times
    #[arg(long, value_name = "LIST")]
    pub(crate) only: Vec<PathBuf>,

    /// Only the images of this section of the lists, or of the source if that is a list; may be given
    /// several times
    #[arg(long, value_name = "NAME")]
    pub(crate) section: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Names")]
pub(crate) struct RenameArgs {
    /// Remove the registry from stored names: `quay.io/coreos/etcd` becomes `coreos/etcd`
    #[arg(long)]
    pub(crate) strip_host: bool,

    /// Put everything into this project: `library/nginx` becomes `P/nginx`, `coreos/etcd` becomes
    /// `P/coreos/etcd`
    #[arg(long, value_name = "P", value_parser = parse_project)]
    pub(crate) project: Option<RepositoryName>,

    /// Rename what matches, `*` standing for any rest; the first match wins; may be given several
    /// times
    #[arg(long, value_name = "'quay.io/*=platform/*'")]
    pub(crate) rename: Vec<RenameRule>,
}

/// Reads the name of a project; says how to write it where it cannot be one.
fn parse_project(text: &str) -> Result<RepositoryName, String> {
    let error = match text.parse() {
        Ok(name) => return Ok(name),
        Err(error) => error,
    };
    let meant: String = text.trim().to_lowercase();
    let meant: String = meant
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-/".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let allowed = "a project has lowercase letters, digits, `.`, `_` and `-`";
    Err(match meant.parse::<RepositoryName>() {
        Ok(meant) => format!("{error}; {allowed}; did you mean `{meant}`?"),
        Err(_) => format!("{error}; {allowed}"),
    })
}

/// How to take over a blob that is a file.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LinkArg {
    /// Hardlink: uses no space; same file system only
    Hard,
    /// A copy that shares its blocks: needs XFS, Btrfs or the like
    Reflink,
    /// A full, verified copy
    Copy,
}

impl From<LinkArg> for LinkMode {
    fn from(arg: LinkArg) -> Self {
        match arg {
            LinkArg::Hard => Self::Hard,
            LinkArg::Reflink => Self::Reflink,
            LinkArg::Copy => Self::Copy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse_project;

    #[test]
    fn a_project_that_cannot_be_one_is_told_how_to_be_written() {
        assert_eq!(parse_project("team/a").unwrap().as_str(), "team/a");
        for (text, expect) in [
            ("Bad Name", "did you mean `bad-name`?"),
            ("P", "did you mean `p`?"),
            ("a:b", "did you mean `a-b`?"),
            ("", "lowercase letters"),
            ("-", "lowercase letters"),
        ] {
            let error = parse_project(text).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }
}
