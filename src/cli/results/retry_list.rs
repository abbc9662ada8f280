//! The images that are not done, as a list for the same verb.

use super::run::Run;
use crate::cli::settings::RETRY_LIST_START;
use crate::cli::ui::format_count;
use hod_list::{BadLine, ListLine};
use hod_oci::{RepositoryName, Tag};
use hod_ops::{ImageReport, ImageStatus, TargetName};
use hod_transfer::TransferError;

/// What is not done.
#[derive(Default)]
struct Rest {
    lines: Vec<ListLine>,
    /// Images that no line names.
    names: Vec<String>,
    /// Lines that cannot be used: comments, since a list of the same verb may read them otherwise.
    problems: Vec<String>,
}

/// Renders the list.
pub(super) fn render(verb: &str, run: &Run<'_>) -> String {
    let mut rest = Rest::default();
    let n_all = if let Ok(found) = run.found {
        for image in &found.images {
            if !matches!(image.status, ImageStatus::Done | ImageStatus::Unchanged) {
                rest.add(run, image);
            }
        }
        found.images.len()
    } else {
        rest.add_all(run);
        run.list.map_or(run.names.len(), |list| {
            list.lines.len() + list.problems.len()
        })
    };
    let n = rest.lines.len() + rest.names.len() + rest.problems.len();
    let are = if n == 1 { "is" } else { "are" };
    let images = format_count(n_all, "image");
    let mut text = format!("{RETRY_LIST_START}{verb}: {n} of {images} {are} not done\n");
    for problem in rest.problems {
        text.push_str(&problem);
    }
    text.push_str(&hod_list::write_lines(&rest.lines));
    for name in rest.names {
        text.push_str(&name);
        text.push('\n');
    }
    text
}

impl Rest {
    fn add(&mut self, run: &Run<'_>, image: &ImageReport) {
        if let Some(TransferError::BadLine(bad)) = image.status.error() {
            self.problems.push(comment(bad));
            return;
        }
        let mut lines = run.list.iter().flat_map(|list| &list.lines);
        match lines.find_map(|line| line_of(line, image)) {
            Some(line) => self.add_line(line),
            None if self.names.contains(&image.image) => {}
            None => self.names.push(image.image.clone()),
        }
    }

    /// Adds a line; one that failed at several targets is to be done once.
    fn add_line(&mut self, mut line: ListLine) {
        let targets = std::mem::take(&mut line.stem_mut().targets);
        let known = self.lines.iter_mut().find(|known| {
            let mut bare = (*known).clone();
            bare.stem_mut().targets.clear();
            bare == line && known.stem().targets.is_empty() == targets.is_empty()
        });
        if let Some(known) = known {
            let known = &mut known.stem_mut().targets;
            for target in targets {
                if !known.contains(&target) {
                    known.push(target);
                }
            }
        } else {
            line.stem_mut().targets = targets;
            self.lines.push(line);
        }
    }

    /// Adds all that a run which failed as a whole has not done.
    fn add_all(&mut self, run: &Run<'_>) {
        let Some(list) = run.list else {
            let names = run.names.iter().filter(|name| !run.done.contains(*name));
            self.names.extend(names.cloned());
            return;
        };
        let lines = list.lines.iter();
        let lines = lines.filter(|line| !run.done.contains(&line.name()));
        self.lines.extend(lines.cloned());
        self.problems.extend(list.problems.iter().map(comment));
    }
}

fn comment(bad: &BadLine) -> String {
    format!("# `{}`: {bad}\n", bad.name())
}

/// The line that an image is of, with those of its targets at which it is reported.
fn line_of(line: &ListLine, image: &ImageReport) -> Option<ListLine> {
    let mut line = line.of_image(&image.image)?;
    let stem = line.stem_mut();
    if stem.targets.is_empty() {
        return Some(line);
    }
    let Some(TargetName::Registry(registry)) = &image.at else {
        return Some(line);
    };
    let (repository, tag) = split(&image.destination);
    let own_tag = stem.reference.tag.clone();
    stem.targets.retain(|target| {
        let name = &target.repository;
        let is_name = |name: &RepositoryName| name.as_str() == repository;
        let target_tag = target.tag.as_ref().or(own_tag.as_ref());
        target.registry == *registry
            && (is_name(name) || is_name(&name.clone().with_library()))
            && (tag.is_none() || tag == target_tag.map(Tag::as_str))
    });
    (!line.stem().targets.is_empty()).then_some(line)
}

/// A repository, and its tag.
fn split(destination: &str) -> (&str, Option<&str>) {
    match destination.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (destination, None),
    }
}
