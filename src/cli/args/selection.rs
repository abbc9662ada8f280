//! Flags for choosing images and their names.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use hod_fsx::LinkMode;
use hod_list::RenameRule;
use hod_oci::RepositoryName;

/// Required lists.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Lists of images: files, directories (their `*.list` and `*.txt` files, not those in
    /// subdirectories), or `-` for stdin
    ///
    /// One image per line, `[registry/]repository[:tag][@digest]`, with an optional second column for
    /// its new name, and `platform=linux/amd64,linux/arm64`. In place of a tag, `*`, `~REGEX` or a range
    /// of versions selects several tags, and `limit=N` only the newest N of them. `#` starts a comment,
    /// a line `##name` starts a section. A lock of `hod pull --lock` is a list too, and so are the
    /// YAML of `skopeo sync` and the YAML or JSON of image-syncer.
    #[arg(required = true, value_name = "LIST")]
    pub(crate) lists: Vec<PathBuf>,

    /// Only the images of this section of the lists; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) section: Vec<String>,
}

/// The images that a verb reads from registries.
#[derive(Debug, Args)]
pub(crate) struct ImagesArgs {
    /// Lists or images: files, directories (their `*.list` and `*.txt` files, not those in
    /// subdirectories), `-` for a list on stdin, images with a tag or digest; or one registry
    /// (`HOST[/PREFIX]`), for everything in it
    ///
    /// An image is written as in a list: `[registry/]repository[:tag][@digest]`. In place of a tag, `*`,
    /// `~REGEX` or a range of versions selects several tags, and `limit=N` only the newest N of them:
    /// 'nginx:~1\.2[0-9]', 'quay.io/coreos/etcd:>=3.4 <3.6 limit=2'.
    ///
    /// A list has one image per line, with an optional second column for its new name, and
    /// `platform=linux/amd64,linux/arm64`. `#` starts a comment, a line `##name` starts a section. A
    /// lock of `--lock` is a list too, and so are the YAML of `skopeo sync` and the YAML or JSON of
    /// image-syncer.
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

/// Lists that select images of a source.
#[derive(Debug, Args)]
#[command(next_help_heading = "Choosing images")]
pub(crate) struct OnlyArgs {
    /// Only the images of this list: a file (also as `@FILE`), a directory, or `-` for stdin;
    /// may be given several times
    #[arg(long, value_name = "LIST")]
    pub(crate) only: Vec<PathBuf>,

    /// Only the images of this section of the lists, which includes a source that is a list; may be
    /// given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) section: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Names")]
pub(crate) struct RenameArgs {
    /// Remove the registry from names: `quay.io/coreos/etcd` becomes `coreos/etcd`
    #[arg(long)]
    pub(crate) strip_host: bool,

    /// Put all images into this project: `library/nginx` becomes `P/nginx`, `coreos/etcd` becomes
    /// `P/coreos/etcd`
    #[arg(long, value_name = "P", value_parser = parse_project)]
    pub(crate) project: Option<RepositoryName>,

    /// Rename matching images; `*` matches any rest, and the first matching rule applies; may be given
    /// several times
    #[arg(long, value_name = "'quay.io/*=platform/*'")]
    pub(crate) rename: Vec<RenameRule>,
}

/// Parses the name of a project; an error shows how to write it.
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

/// How to place a blob that is a file.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LinkArg {
    /// Hardlinks: use no space, on the same file system only
    Hard,
    /// Copies that share blocks: use no space, on XFS, Btrfs and the like
    Reflink,
    /// Full copies, verified
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
