//! Many lines become one list: sections, duplicates, collisions.

use std::collections::HashMap;

use hod_oci::{Registry, RepositoryName, Tag};
use hod_report::redact;

use super::expand::Claims;
use super::foreign::ForeignFormat;
use super::problem::LineProblem;
use super::text::{ImageLine, Line, parse_line};
use super::{
    BadLine, ImageList, ListEntry, ListError, ListLine, ListPosition, ListSource, PatternLine,
};

/// Collects the lines of lists.
pub(super) struct Gatherer<'a> {
    wanted: &'a [String],
    files: Vec<String>,
    /// Files that are not lists.
    foreign: Vec<(String, ForeignFormat)>,
    /// All sections, in order of appearance.
    sections: Vec<String>,
    lines: Vec<ListLine>,
    claims: Claims<'a>,
    problems: Vec<BadLine>,
    warnings: Vec<String>,
}

impl<'a> Gatherer<'a> {
    pub(super) fn new(source: &'a Registry, wanted: &'a [String]) -> Self {
        Self {
            wanted,
            files: Vec::new(),
            foreign: Vec::new(),
            sections: Vec::new(),
            lines: Vec::new(),
            claims: Claims::new(source),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Reads one list; a section does not reach beyond its end.
    pub(super) fn add(&mut self, list: &ListSource<'_>) {
        self.files.push(list.name.to_owned());
        if let Some(format) = ForeignFormat::of(list.text) {
            self.foreign.push((list.name.to_owned(), format));
            return;
        }
        let text = list.text.strip_prefix('\u{feff}').unwrap_or(list.text);
        let mut section: Option<String> = None;
        for (n, line) in text.lines().enumerate() {
            let origin = ListPosition {
                file: list.name.to_owned(),
                line: n + 1,
            };
            match parse_line(line) {
                Ok(Line::Blank) => {}
                Ok(Line::Section(name)) => section = Some(self.open_section(name)),
                Ok(Line::Heading(text)) => self.warnings.push(format!(
                    "{origin}: `{}` is a comment: the name of a section is one word",
                    super::error::visible(redact::without_logins(text).as_deref().unwrap_or(text))
                )),
                Ok(Line::Image(image)) => self.add_image(*image, section.clone(), origin),
                Err(bad) => self.add_problem(origin, bad),
            }
        }
    }

    fn open_section(&mut self, name: &str) -> String {
        if !self.sections.iter().any(|known| known == name) {
            self.sections.push(name.to_owned());
        }
        name.to_owned()
    }

    fn add_problem(&mut self, origin: ListPosition, bad: LineProblem) {
        self.problems.push(BadLine::new(origin, bad));
    }

    fn add_image(&mut self, image: ImageLine, section: Option<String>, origin: ListPosition) {
        let is_wanted = self.wanted.is_empty()
            || section
                .as_ref()
                .is_some_and(|section| self.wanted.contains(section));
        if !is_wanted {
            return;
        }
        let mut entry = ListEntry {
            reference: image.reference,
            destination: image.destination,
            options: image.options,
            section,
            origin,
        };
        if let Some(tags) = image.tags {
            let line = ListLine::Pattern(PatternLine { stem: entry, tags });
            // Of two that differ, the images are compared when they are known.
            if !self.lines.iter().any(|known| is_same(known, &line)) {
                self.lines.push(line);
            }
            return;
        }
        let written = entry.reference.to_string();
        let lacks_tag = entry.reference.tag.is_none() && entry.reference.digest.is_none();
        if lacks_tag {
            entry.reference.tag = Some(Tag::latest());
        }
        if let Some(at) = self.claims.claim(&entry, self.lines.len()) {
            if let Err(reason) = self.claims.compare(self.lines[at].stem(), &entry) {
                self.add_problem(entry.origin, LineProblem::new(&written, reason));
            }
            return;
        }
        if lacks_tag {
            let warning = format!("{}: `{written}` has no tag; using `latest`", entry.origin);
            self.warnings.push(warning);
        }
        self.lines.push(ListLine::Image(entry));
    }

    /// Refuses a bare second column that several repositories share: a table's third thing, such as
    /// a team or a status, and not where each of them goes.
    fn refuse_repeated_destinations(&mut self) {
        let mut lines: HashMap<&RepositoryName, Vec<&ListEntry>> = HashMap::new();
        for entry in self.lines.iter().map(ListLine::stem) {
            if let Some(destination) = &entry.destination
                && destination.is_bare()
            {
                lines
                    .entry(&destination.repository)
                    .or_default()
                    .push(entry);
            }
        }
        let is_shared = |entries: &Vec<&ListEntry>| {
            let first = &entries[0].reference;
            entries.iter().any(|entry| {
                let other = &entry.reference;
                (&other.registry, &other.repository) != (&first.registry, &first.repository)
            })
        };
        let shared: Vec<(ListPosition, LineProblem)> = lines
            .values()
            .filter(|entries| is_shared(entries))
            .flatten()
            .map(|entry| {
                let word = entry.stored().repository.to_string();
                let reason = format!(
                    "stands behind different images, so that it may not be where they go; if it \
                     is, write `library/{word}`"
                );
                (entry.origin.clone(), LineProblem::new(&word, reason))
            })
            .collect();
        for (origin, bad) in shared {
            self.add_problem(origin, bad);
        }
        let position = |file: &str| self.files.iter().position(|known| known == file);
        self.problems
            .sort_by_key(|problem| (position(&problem.file), problem.line));
    }

    /// Gives the list, or everything that is wrong with it.
    pub(super) fn finish(mut self) -> Result<ImageList, ListError> {
        if let Some((file, format)) = self.foreign.first() {
            return Err(ListError::Foreign {
                file: file.clone(),
                format: *format,
            });
        }
        self.refuse_repeated_destinations();
        if !self.problems.is_empty() {
            return Err(ListError::Invalid {
                problems: self.problems,
                n_files: self.files.len(),
            });
        }
        let is_unknown = |name: &&String| !self.sections.contains(*name);
        let unknown: Vec<String> = self.wanted.iter().filter(is_unknown).cloned().collect();
        if !unknown.is_empty() {
            return Err(ListError::UnknownSection {
                files: self.files,
                unknown,
                known: self.sections,
            });
        }
        if self.lines.is_empty() {
            return Err(ListError::Empty {
                files: self.files,
                sections: self.wanted.to_vec(),
            });
        }
        Ok(ImageList {
            lines: self.lines,
            warnings: self.warnings,
        })
    }
}

/// Whether two lines ask for the same, wherever they are.
fn is_same(line: &ListLine, other: &ListLine) -> bool {
    let (mut line, mut other) = (line.clone(), other.clone());
    for line in [&mut line, &mut other] {
        let stem = line.stem_mut();
        stem.options = stem.options.normalised();
        stem.section = None;
        stem.origin = ListPosition {
            file: String::new(),
            line: 0,
        };
    }
    line == other
}
