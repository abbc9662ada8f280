//! What is wrong with lists, all of it at once.

use std::fmt::{self, Write as _};

use super::problem::LineProblem;
use super::{COMMAND_LINE, ForeignFormat, ListPosition};
use hod_report::amount::format_count;
use hod_report::{Diagnose, Diagnosis, ErrorClass};

/// The most bad lines that a message shows; a wrong file has thousands.
const SHOWN_MAX: usize = 50;
/// The most fixes that a hint shows.
const FIXES_MAX: usize = 5;
/// The most characters of a list's text that a message repeats.
const TEXT_LEN_MAX: usize = 120;

/// Why lists cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Lines that cannot be read, or that contradict each other.
    #[error("{}", Report { problems, n_files: *n_files })]
    Invalid {
        /// In the order of the lists; never empty.
        problems: Vec<BadLine>,
        /// The number of lists read.
        n_files: usize,
    },
    /// The file belongs to another tool.
    #[error("`{}` is {format}, which cannot be read as a list yet", visible(file))]
    Foreign { file: String, format: ForeignFormat },
    /// Sections do not exist in any list.
    #[error("{} no section {}", has(files), ticked(unknown, "or"))]
    UnknownSection {
        files: Vec<String>,
        unknown: Vec<String>,
        /// The sections that there are.
        known: Vec<String>,
    },
    /// The lists do not contain an image.
    #[error("{} image{}", names_no(files), in_sections(sections))]
    Empty {
        files: Vec<String>,
        sections: Vec<String>,
    },
    /// `hod sync` is not told where to.
    #[error("{} destination for any image", names_no_target(files))]
    NoTargets { files: Vec<String> },
}

/// One bad line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} ({}:{line})", visible(reason), visible(file))]
pub struct BadLine {
    pub file: String,
    /// Counted from one.
    pub line: usize,
    /// The invalid part of the line, verbatim; empty if that is the whole line.
    pub text: String,
    /// The problem with it.
    pub reason: String,
    /// The probable intention.
    pub fix: Option<String>,
    /// The format of the file, if it is not a list of one image a line.
    pub format: Option<ForeignFormat>,
}

impl BadLine {
    pub(super) fn new(origin: ListPosition, bad: LineProblem) -> Self {
        Self {
            file: origin.file,
            line: origin.line,
            text: bad.text,
            reason: bad.reason,
            fix: bad.fix,
            format: None,
        }
    }

    /// The text of the line, or its position if the whole line is meant; for messages.
    pub fn name(&self) -> String {
        if self.text.is_empty() {
            format!("{}:{}", visible(&self.file), self.line)
        } else {
            visible(&self.text)
        }
    }
}

impl Diagnose for BadLine {
    /// Of one line of a list whose other lines are used.
    fn diagnose(&self) -> Diagnosis {
        let usage = Diagnosis::refused(ErrorClass::Usage);
        match &self.fix {
            Some(fix) => usage.hint(format!("Did you mean `{}`?", visible(fix))),
            None => usage.hint("Correct the line in its file."),
        }
    }
}

struct Report<'a> {
    problems: &'a [BadLine],
    n_files: usize,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_lines = self.problems.len();
        let one_file = self.one_file();
        match one_file {
            Some(COMMAND_LINE) => write!(
                f,
                "{COMMAND_LINE} has {}",
                format_count(n_lines, "invalid image")
            )?,
            Some(file) => write!(f, "image list `{}` has", visible(file))?,
            None => write!(f, "{} image lists have", self.n_files)?,
        }
        if one_file != Some(COMMAND_LINE) {
            write!(f, " {}", format_count(n_lines, "invalid line"))?;
        }
        f.write_str("; nothing was done")?;
        for problem in self.problems.iter().take(SHOWN_MAX) {
            let (text, reason) = (visible(&problem.text), visible(&problem.reason));
            write!(f, "\n  {}: ", self.place(problem))?;
            if !text.is_empty() {
                write!(f, "`{text}`: ")?;
            }
            f.write_str(&reason)?;
        }
        match n_lines.saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl Report<'_> {
    /// The file, where only one was read.
    fn one_file(&self) -> Option<&str> {
        let first = self.problems.first()?;
        (self.n_files == 1).then_some(&first.file)
    }

    fn place(&self, problem: &BadLine) -> String {
        match self.one_file() {
            _ if problem.file == COMMAND_LINE => format!("image {}", problem.line),
            Some(_) => format!("line {}", problem.line),
            None => format!("{}:{}", visible(&problem.file), problem.line),
        }
    }

    fn hint(&self) -> String {
        let fixes: Vec<(&BadLine, &str)> = self
            .problems
            .iter()
            .filter_map(|problem| Some((problem, problem.fix.as_deref()?)))
            .collect();
        let formats = self.problems.iter().map(|problem| problem.format);
        match (&fixes[..], formats.flatten().next()) {
            ([], Some(format)) => format.hint(),
            ([], None) => {
                "A line is `[registry/]repository[:tag][@digest]`, optionally followed by the \
                 destination (`repository[:tag]`) and `platform=os/architecture,…`. In place of the \
                 tag, `*`, `~REGEX` or a range of versions (`>=1.2 <2`) selects several tags."
                    .to_owned()
            }
            ([(_, fix)], _) => format!("Did you mean `{}`?", visible(fix)),
            (fixes, _) => {
                let shown: Vec<String> = fixes
                    .iter()
                    .take(FIXES_MAX)
                    .map(|(problem, fix)| format!("`{}` ({})", visible(fix), self.place(problem)))
                    .collect();
                let more = if fixes.len() > FIXES_MAX {
                    " Correct these first; the other lines have suggestions too."
                } else {
                    ""
                };
                format!("Did you mean {}?{more}", joined(&shown, "and"))
            }
        }
    }
}

impl Diagnose for ListError {
    fn diagnose(&self) -> Diagnosis {
        let usage = Diagnosis::new(ErrorClass::Usage);
        match self {
            Self::Invalid { problems, n_files } => usage.hint(
                Report {
                    problems,
                    n_files: *n_files,
                }
                .hint(),
            ),
            Self::UnknownSection { known, .. } if known.is_empty() => usage.hint(
                "No list has sections. A line `##name` starts one, which ends at the next such line.",
            ),
            Self::UnknownSection { known, unknown, .. } => {
                usage.hint(match comma_separated(unknown, known) {
                    Some(flags) => format!("Pass `--section` once for each section: `{flags}`."),
                    None => format!("The sections are {}.", ticked(known, "and")),
                })
            }
            Self::Foreign { format, .. } => usage.hint(format.hint()),
            Self::Empty { .. } => usage,
            Self::NoTargets { .. } => usage.hint(
                "Name a destination on the command line, such as `harbor.corp/project`, or write \
                 `to=HOST/REPOSITORY` on the lines of the list.",
            ),
        }
    }
}

/// The flags for sections that were given with commas between them.
fn comma_separated(unknown: &[String], known: &[String]) -> Option<String> {
    let joined = unknown.iter().find(|name| name.contains(','))?;
    let parts: Vec<&str> = joined.split(',').map(str::trim).collect();
    let are_known = parts
        .iter()
        .all(|part| known.iter().any(|name| name == part));
    are_known.then(|| format!("--section {}", parts.join(" --section ")))
}

fn has(files: &[String]) -> String {
    match files {
        [file] => format!("image list `{}` has", visible(file)),
        _ => "the image lists have".to_owned(),
    }
}

fn names_no(files: &[String]) -> String {
    match files {
        [] => "no image list names an".to_owned(),
        [file] => format!("image list `{}` names no", visible(file)),
        _ => format!("image lists {} name no", ticked(files, "and")),
    }
}

fn names_no_target(files: &[String]) -> String {
    match files {
        [file] => format!("image list `{}` names no", visible(file)),
        _ => format!("image lists {} name no", ticked(files, "and")),
    }
}

fn in_sections(sections: &[String]) -> String {
    match sections {
        [] => String::new(),
        [section] => format!(" in section `{}`", visible(section)),
        _ => format!(" in sections {}", ticked(sections, "and")),
    }
}

fn ticked(words: &[String], last: &str) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("`{}`", visible(word)))
        .collect();
    joined(&words, last)
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn joined(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [start @ .., end] => format!("{} {last} {end}", start.join(", ")),
    }
}

/// The text with control characters escaped and cut to a length that fits a message: lists come
/// from anywhere, and a terminal obeys what it is sent.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::new();
    for (n, character) in text.chars().enumerate() {
        if n == TEXT_LEN_MAX {
            shown.push('…');
            break;
        }
        let is_hidden = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if is_hidden {
            write!(shown, "{}", character.escape_unicode()).expect("a string takes everything");
        } else {
            shown.push(character);
        }
    }
    shown
}
