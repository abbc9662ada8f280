//! Many lines become one list: sections, duplicates, collisions.

use std::collections::HashMap;

use hod_oci::{RepositoryName, Tag};
use hod_report::redact;

use super::document;
use super::expand::{Claims, Holder};
use super::foreign::ForeignFormat;
use super::found::Found;
use super::problem::LineProblem;
use super::recognise::{Recognised, recognise, stated};
use super::text::{ImageLine, Line, parse_line};
use super::{
    BadLine, BadLines, Destination, ImageList, ListEntry, ListError, ListLine, ListOptions,
    ListPosition, ListSource, PatternLine, RegistrySettings, SyncTarget, TargetUse, skopeo, syncer,
};

/// Collects the lines of lists.
pub(super) struct Gatherer<'a> {
    options: ListOptions<'a>,
    files: Vec<String>,
    /// The files of other tools among them.
    read_foreign: HashMap<String, ForeignFormat>,
    /// Files that are not lists.
    foreign: Vec<(String, ForeignFormat)>,
    /// All sections, in order of appearance.
    sections: Vec<String>,
    lines: Vec<ListLine>,
    claims: Claims<'a>,
    problems: Vec<BadLine>,
    warnings: Vec<String>,
    registries: Vec<RegistrySettings>,
}

impl<'a> Gatherer<'a> {
    pub(super) fn new(options: &ListOptions<'a>) -> Self {
        Self {
            options: *options,
            files: Vec::new(),
            read_foreign: HashMap::new(),
            foreign: Vec::new(),
            sections: Vec::new(),
            lines: Vec::new(),
            claims: Claims::new(options.source),
            problems: Vec::new(),
            warnings: Vec::new(),
            registries: Vec::new(),
        }
    }

    /// Reads one list; a section does not reach beyond its end.
    pub(super) fn add(&mut self, list: &ListSource<'_>) {
        self.files.push(list.name.to_owned());
        let recognised = match self.options.format {
            Some(format) => Some(stated(list.text, format)),
            None => recognise(list.text),
        };
        if let Some(recognised) = recognised {
            return self.add_foreign(list.name, recognised);
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

    /// Reads one file of another tool.
    fn add_foreign(&mut self, file: &str, recognised: Recognised) {
        let mut found = Found::new(file);
        let format = match recognised {
            Recognised::Unreadable(format) => {
                self.foreign.push((file.to_owned(), format));
                return;
            }
            Recognised::Damaged(format, error) => {
                found.damaged(error);
                format
            }
            Recognised::SkopeoSync(document) => {
                found.add_repeated(&document);
                skopeo::read(&document.root, &mut found);
                ForeignFormat::SkopeoSync
            }
            Recognised::ImageSyncer(document) => {
                found.add_repeated(&document);
                syncer::read(&document.root, self.options.variable, &mut found);
                ForeignFormat::ImageSyncer
            }
        };
        self.read_foreign.insert(file.to_owned(), format);
        self.warnings.append(&mut found.warnings);
        self.registries.append(&mut found.registries);
        self.problems.extend(found.bad_lines(format));
        for (line, image) in found.images {
            let file = file.to_owned();
            self.add_image(image, None, ListPosition { file, line });
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
        let wanted = self.options.sections;
        let is_in = |section: &String| wanted.contains(section);
        if !wanted.is_empty() && !section.as_ref().is_some_and(is_in) {
            return;
        }
        let (destination, targets) = match self.options.targets {
            TargetUse::Keep => (image.destination, image.targets),
            TargetUse::Name => {
                let named = image.destination.or_else(|| only_name(&image.targets));
                (named, Vec::new())
            }
        };
        let mut entry = ListEntry {
            reference: image.reference,
            destination,
            targets,
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
        let claimed = self.claims.claim(&entry, self.lines.len());
        for Holder { name, at } in claimed.holders {
            if let Err(reason) = self.claims.compare(&name, self.lines[at].stem(), &entry) {
                self.add_problem(entry.origin.clone(), LineProblem::new(&written, reason));
                name.leave(&mut entry);
            }
        }
        if !claimed.is_new {
            return;
        }
        if lacks_tag {
            let warning = format!("{}: `{written}` has no tag; using `latest`", entry.origin);
            self.warnings.push(warning);
        }
        self.lines.push(ListLine::Image(entry));
    }

    /// Refuses a bare second column that several repositories share: a table's third thing, such as
    /// a team or a status, and not where each of them goes. The files of other tools have no tables.
    fn refuse_repeated_destinations(&mut self) {
        let mut lines: HashMap<&RepositoryName, Vec<&ListEntry>> = HashMap::new();
        for entry in self.lines.iter().map(ListLine::stem) {
            if let Some(destination) = &entry.destination
                && destination.is_bare()
                && !self.read_foreign.contains_key(&entry.origin.file)
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
        self.lines.retain(|line| {
            let origin = &line.stem().origin;
            !shared.iter().any(|(bad, _)| bad == origin)
        });
        for (origin, bad) in shared {
            self.add_problem(origin, bad);
        }
        for problem in &mut self.problems {
            problem.format = self.read_foreign.get(&problem.file).copied();
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
        let is_usable = self.options.bad_lines == BadLines::Keep && !self.lines.is_empty();
        if !self.problems.is_empty() && !is_usable {
            return Err(ListError::Invalid {
                problems: self.problems,
                n_files: self.files.len(),
            });
        }
        let is_unknown = |name: &&String| !self.sections.contains(*name);
        let wanted = self.options.sections;
        let unknown: Vec<String> = wanted.iter().filter(is_unknown).cloned().collect();
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
                sections: wanted.to_vec(),
            });
        }
        Ok(ImageList {
            lines: self.lines,
            warnings: self.warnings,
            registries: self.registries,
            problems: self.problems,
            formats: self.read_foreign.into_values().collect(),
        })
    }
}

/// The name that a line has in a store by its targets, if there is one only.
fn only_name(targets: &[SyncTarget]) -> Option<Destination> {
    match targets {
        [target] => Some(Destination {
            repository: target.repository.clone(),
            tag: target.tag.clone(),
        }),
        _ => None,
    }
}

/// Reads a file of logins for image-syncer.
pub(super) fn auth(
    file: &ListSource<'_>,
    variable: fn(&str) -> Option<String>,
) -> Result<Vec<RegistrySettings>, ListError> {
    let mut found = Found::new(file.name);
    match document::parse(file.text.trim_start_matches('\u{feff}')) {
        Ok(document) => {
            found.add_repeated(&document);
            syncer::read_auth(&document.root, Some(variable), &mut found);
        }
        Err(error) => found.damaged(error),
    }
    let registries = std::mem::take(&mut found.registries);
    let problems: Vec<BadLine> = found.bad_lines(ForeignFormat::ImageSyncerAuth).collect();
    if problems.is_empty() {
        Ok(registries)
    } else {
        Err(ListError::Invalid {
            problems,
            n_files: 1,
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
