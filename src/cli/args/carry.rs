//! Flags for files that a bundle carries in addition to images.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;

use hod_ops::{CarryOptions, ExtraFile, OwnTool};

#[derive(Debug, Args)]
#[command(next_help_heading = "Installer")]
pub(crate) struct CarryArgs {
    /// Add this file or directory to the bundle at this path; may be given several times
    ///
    /// If DST ends with a slash, it is the directory to put SRC into. Executable files stay executable.
    #[arg(long, value_name = "SRC=DST")]
    file: Vec<FileArg>,

    /// Add this static hod to the bundle, for any architecture; may be given several times
    ///
    /// By default, the running hod is added if it is static, as built by `make dist`.
    #[arg(long, value_name = "FILE")]
    pub(crate) tool: Vec<PathBuf>,

    /// Do not add the running hod to the bundle
    #[arg(long)]
    no_tool: bool,

    /// Use the templates in this directory: they replace built-in ones of the same name, such as
    /// README.txt or install.sh; others are added
    ///
    /// These are Jinja templates with the variables `name`, `version`, `title`, `stem`,
    /// `kind` (one, volumes, compressed), `tool_version`, `n_images`, `n_blobs`, `size`, `images`
    /// (name, digest, size), `tools` (arch, sha256), `files` (path, sha256, size) and `set`.
    #[arg(long, value_name = "DIR")]
    pub(crate) template_dir: Option<PathBuf>,

    /// Set the variable `set.KEY` of templates; may be given several times
    ///
    /// In the built-in templates, `registry` and `project` are the default target of install.sh.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_setting)]
    set: Vec<(String, String)>,
}

impl CarryArgs {
    /// The files and directories to carry.
    pub(crate) fn file_sources(&self) -> impl Iterator<Item = &Path> {
        self.file.iter().map(|file| file.0.source.as_path())
    }

    pub(crate) fn options(&self) -> CarryOptions {
        CarryOptions {
            files: self.file.iter().map(|file| file.0.clone()).collect(),
            tools: self.tool.clone(),
            own_tool: if self.no_tool {
                OwnTool::Leave
            } else {
                OwnTool::Carry
            },
            template_dir: self.template_dir.clone(),
            // The last one counts, as with most flags.
            set: self.set.iter().cloned().collect(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileArg(ExtraFile);

impl FromStr for FileArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names in a bundle are chosen, those of files are given.
        match text.rsplit_once('=') {
            Some((source, destination)) if !source.is_empty() && !destination.is_empty() => {
                Ok(Self(ExtraFile {
                    source: PathBuf::from(source),
                    destination: destination.to_owned(),
                }))
            }
            _ => Err("expected a file and its path in the bundle, `chart.tgz=charts/`".to_owned()),
        }
    }
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    let is_name = |key: &str| {
        let mut chars = key.chars();
        chars
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match text.split_once('=') {
        // Texts put it in front of paths, and in URLs of their own.
        Some(("registry", value)) if value.contains("://") => {
            Err("write the registry without `https://`, such as `harbor.corp`".to_owned())
        }
        Some((key, value)) if is_name(key) => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected `KEY=VALUE`, with letters, digits and `_` in the key".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_settings_are_pairs() {
        #[track_caller]
        fn check(text: &str, expect: Option<(&str, &str)>) {
            let file = text.parse::<FileArg>().ok();
            let pair = file.map(|file| (file.0.source, file.0.destination));
            let expect = expect.map(|(a, b)| (PathBuf::from(a), b.to_owned()));
            assert_eq!(pair, expect, "{text}");
        }
        check("a=b", Some(("a", "b")));
        check("a=b=c/", Some(("a=b", "c/")));
        check("a=", None);
        check("=b", None);
        check("a", None);
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(parse_setting("a_1=b=c").ok(), pair("a_1", "b=c"));
        assert_eq!(parse_setting("a=").ok(), pair("a", ""));
        for bad in ["a", "=b", "1=b", "a-b=c", "a b=c"] {
            assert_eq!(parse_setting(bad).ok(), None, "{bad}");
        }
    }
}
