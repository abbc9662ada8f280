//! Image lists: from files, the lists in a directory, and stdin.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::environment::{apart, raw_environment};
use super::given::{read_given, text};
use crate::cli::args::{ListArgs, OnlyArgs};
use crate::cli::error::{CommandError, STORE};
use hod_list::{
    BadLines, ForeignFormat, ImageList, ListOptions, ListSource, RegistrySettings, TargetUse,
};
use hod_oci::Registry;
use hod_report::{Event, Reporter};

/// The longest list that is read, in bytes.
pub(super) const LIST_LEN_MAX: u64 = 16 * 1024 * 1024;
/// Number of bytes of a list that are examined before the rest is read.
const HEAD_LEN: u64 = 512;
/// How the names of archives end, which are never read as lists.
const ARCHIVE_NAMES: &[&str] = &[".tar", ".tar.gz", ".tar.zst", ".tgz"];
/// Magic numbers of archives and compressed files, by offset.
const ARCHIVES: &[(usize, &[u8])] = &[
    (257, b"ustar"),
    (0, b"\x1f\x8b"),
    (0, b"\x28\xb5\x2f\xfd"),
    (0, b"\xfd7zXZ\0"),
    (0, b"BZh"),
    (0, b"PK\x03\x04"),
];

/// Reads and parses the lists of a verb.
///
/// `source` is the registry of names without one, which decides what is a duplicate.
pub(crate) async fn image_list(
    args: &ListArgs,
    source: &Registry,
    reporter: &dyn Reporter,
) -> Result<ImageList, CommandError> {
    let inputs = ListInputs {
        paths: &args.lists,
        sections: &args.section,
        ..ListInputs::default()
    };
    read_lists(inputs, source, reporter).await
}

/// Reads and parses the lists that select images, if any.
pub(crate) async fn only_list(
    args: &OnlyArgs,
    reporter: &dyn Reporter,
) -> Result<Option<ImageList>, CommandError> {
    if args.only.is_empty() {
        return Ok(None);
    }
    let inputs = ListInputs {
        paths: &args.only,
        sections: &args.section,
        ..ListInputs::default()
    };
    let list = read_lists(inputs, &Registry::docker_hub(), reporter).await?;
    Ok(Some(list))
}

/// Refuses `--section` without a list.
pub(crate) fn require_no_section(args: &OnlyArgs) -> Result<(), CommandError> {
    match args.section.first() {
        Some(section) => Err(CommandError::SectionWithoutList {
            section: section.clone(),
        }),
        None => Ok(()),
    }
}

/// The place that a list is read from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ListInputs<'a> {
    /// Files, directories, and `-`.
    pub(crate) paths: &'a [PathBuf],
    /// Images on the command line, each like a line of a list.
    pub(crate) images: &'a [String],
    /// The selected sections; all if empty.
    pub(crate) sections: &'a [String],
    pub(crate) how: ListUse,
}

/// How lists are read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ListUse {
    pub(crate) targets: TargetUse,
    pub(crate) bad_lines: BadLines,
    /// The format of all files; by default it is recognised.
    pub(crate) format: Option<ForeignFormat>,
}

/// Reads a file of logins for image-syncer.
pub(crate) async fn syncer_logins(path: &Path) -> Result<Vec<RegistrySettings>, CommandError> {
    let path = path.to_owned();
    let (name, text) = apart(move || {
        let bytes = read_given("--auth", &path, LIST_LEN_MAX)?;
        Ok((path.display().to_string(), text(&path, bytes)?))
    })
    .await?;
    let source = ListSource {
        name: &name,
        text: &text,
    };
    Ok(hod_list::parse_auth(&source, variable)?)
}

/// Refuses a source and lists to narrow it that are both `-`.
pub(crate) fn require_one_stdin(source: &Path, only: &OnlyArgs) -> Result<(), CommandError> {
    if hod_fsx::is_stdin(source) && only.only.iter().any(|path| hod_fsx::is_stdin(path)) {
        return Err(CommandError::StdinTwice { flag: "--only" });
    }
    Ok(())
}

/// Returns true if `path` is a list or a directory of lists, not images: a text file, or a
/// directory that contains lists and is not a store or layout.
pub(crate) fn is_list(path: &Path) -> Result<bool, CommandError> {
    let name = path.to_string_lossy();
    // `@FILE` is always a list.
    if name.starts_with('@') {
        return Ok(true);
    }
    if hod_fsx::is_stdin(path) || ARCHIVE_NAMES.iter().any(|end| name.ends_with(end)) {
        return Ok(false);
    }
    let Some(stat) = hod_fsx::try_stat(path)? else {
        return Ok(false);
    };
    if stat.is_dir {
        return Ok(!lists_of(path)?.0.is_empty()
            && !matches!(no_lists(path, Vec::new())?, CommandError::NotAList { .. }));
    }
    if !stat.is_file {
        // Of a pipe, `<(command)`, nothing can be read twice; a bundle comes from stdin.
        return Ok(true);
    }
    let mut head = Vec::new();
    let file = hod_fsx::open_input(path)?;
    let read = file.take(HEAD_LEN).read_to_end(&mut head);
    read.map_err(|source| hod_fsx::Error::new("read", path, source))?;
    // UTF-16 has NULs, and a mark in front.
    let is_text =
        head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || !head.contains(&0);
    Ok(!head.is_empty() && is_text && require_text(path, &head).is_ok())
}

/// Reads every file, every list of every directory, and stdin for `-`; parses them as one.
///
/// Warns of subdirectories with lists, which are not read.
pub(crate) async fn read_lists(
    inputs: ListInputs<'_>,
    source: &Registry,
    reporter: &dyn Reporter,
) -> Result<ImageList, CommandError> {
    let named = inputs.paths;
    let paths = named.to_owned();
    let found = apart(move || list_texts(&paths)).await?;
    for dir in found.unread.iter().filter(|dir| !named.contains(dir)) {
        let dir = dir.display();
        let text = format!("lists in `{dir}` are not read; add `{dir}` to the command");
        reporter.event(Event::Warning { text: &text });
    }
    let files = found.texts.iter();
    let files = files.map(|(name, text)| ListSource { name, text });
    let images = inputs.images.join("\n");
    let images = ListSource {
        name: hod_list::COMMAND_LINE,
        text: &images,
    };
    let mut sources: Vec<ListSource<'_>> = files.collect();
    if !inputs.images.is_empty() {
        sources.push(images);
    }
    let options = ListOptions {
        source,
        sections: inputs.sections,
        variable,
        targets: inputs.how.targets,
        bad_lines: inputs.how.bad_lines,
        format: inputs.how.format,
    };
    Ok(hod_list::parse_with(&options, &sources)?)
}

/// The value of a variable that a list names.
fn variable(name: &str) -> Option<String> {
    raw_environment(name)?.into_string().ok()
}

/// The lists to read.
#[derive(Debug, Default)]
struct FoundLists {
    /// The text of each, with its name.
    texts: Vec<(String, String)>,
    /// Directories with lists, below those that were read.
    unread: Vec<PathBuf>,
}

/// Reads the lists.
fn list_texts(paths: &[PathBuf]) -> Result<FoundLists, CommandError> {
    let mut found = FoundLists::default();
    for path in paths {
        // `@retry.txt` is the file, as many tools write it; `./@retry.txt` has it in its name.
        let path = &match path.to_str().and_then(|text| text.strip_prefix('@')) {
            Some(file) => PathBuf::from(file),
            None => path.clone(),
        };
        if path.as_os_str() == "-" {
            let name = Path::new("<stdin>");
            let text = read_list(name, io::stdin().lock(), CommandError::Stdin)?;
            found.texts.push((name.display().to_string(), text));
            continue;
        }
        let mut files = vec![path.clone()];
        if hod_fsx::try_stat(path)?.is_some_and(|stat| stat.is_dir) {
            let (lists, below) = lists_of(path)?;
            if lists.is_empty() {
                return Err(no_lists(path, below)?);
            }
            files = lists;
            found.unread.extend(below);
        }
        for file in files {
            let unreadable = |source| CommandError::List {
                path: file.clone(),
                source,
            };
            let open = hod_fsx::open_input(&file).map_err(unreadable)?;
            let text = read_list(&file, open, |source| {
                unreadable(hod_fsx::Error::new("read", &file, source))
            })?;
            found.texts.push((file.display().to_string(), text));
        }
    }
    Ok(found)
}

/// Reads a list, unless it begins as an archive does.
fn read_list(
    path: &Path,
    mut input: impl Read,
    unreadable: impl Fn(io::Error) -> CommandError,
) -> Result<String, CommandError> {
    let mut head = Vec::new();
    let begin = input.by_ref().take(HEAD_LEN).read_to_end(&mut head);
    begin.map_err(&unreadable)?;
    require_text(path, &head)?;
    let bytes =
        hod_fsx::read_to_end(head.as_slice().chain(input), LIST_LEN_MAX).map_err(unreadable)?;
    text(path, bytes)
}

/// The lists of a directory, and the directories in it that have some.
fn lists_of(dir: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), CommandError> {
    let is_list = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "list" || extension == "txt")
    };
    let (mut lists, mut below) = (Vec::new(), Vec::new());
    for name in hod_fsx::read_dir_names(dir)? {
        let path = dir.join(name);
        let is_dir = hod_fsx::try_stat(&path)?.is_some_and(|stat| stat.is_dir);
        if !is_dir {
            lists.extend(Some(path).filter(is_list));
            continue;
        }
        // One that may not be read is not asked for.
        let names = hod_fsx::try_read_dir_names(&path).ok().flatten();
        let has_lists = |names: Vec<_>| names.into_iter().map(PathBuf::from).any(|n| is_list(&n));
        if names.is_some_and(has_lists) {
            below.push(path);
        }
    }
    Ok((lists, below))
}

/// Why a directory has no lists.
fn no_lists(path: &Path, below: Vec<PathBuf>) -> Result<CommandError, CommandError> {
    let has = |name: &str| hod_fsx::try_stat(&path.join(name)).map(|stat| stat.is_some());
    let kind = if has("docker/registry/v2")? {
        STORE
    } else if has("index.json")? || has("manifest.json")? {
        "a layout"
    } else {
        let path = path.to_owned();
        return Ok(CommandError::NoLists { path, below });
    };
    Ok(CommandError::NotAList {
        path: path.to_owned(),
        kind,
    })
}

/// Refuses an archive.
fn require_text(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let is_archive =
        |(at, magic): &(usize, &[u8])| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic));
    if ARCHIVES.iter().any(is_archive) {
        return Err(CommandError::NotAList {
            path: path.to_owned(),
            kind: "an archive",
        });
    }
    Ok(())
}
