//! What a file of another tool names: its images, its settings, and what is wrong with it.

use hod_oci::Reference;
use hod_report::redact;

use super::error::visible;
use super::node::{Document, DocumentError, Node, Value};
use super::problem::LineProblem;
use super::text::ImageLine;
use super::{
    BadLine, ForeignFormat, LineOptions, ListPosition, RegistrySettings, SyncTarget, TagPattern,
    TagRule,
};

/// Collects it.
pub(super) struct Found<'a> {
    file: &'a str,
    /// Each with its line.
    pub(super) images: Vec<(usize, ImageLine)>,
    pub(super) registries: Vec<RegistrySettings>,
    pub(super) problems: Vec<(usize, LineProblem)>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Found<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self {
            file,
            images: Vec::new(),
            registries: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn position(&self, line: usize) -> ListPosition {
        ListPosition {
            file: self.file.to_owned(),
            line,
        }
    }

    pub(super) fn add_image(&mut self, line: usize, image: Reference, targets: Vec<SyncTarget>) {
        self.add(line, image, None, targets);
    }

    /// Adds those images of a repository that a rule selects.
    pub(super) fn add_pattern(
        &mut self,
        line: usize,
        repository: Reference,
        rule: TagRule,
        targets: Vec<SyncTarget>,
    ) {
        let tags = TagPattern { rule, limit: None };
        self.add(line, repository, Some(tags), targets);
    }

    fn add(
        &mut self,
        line: usize,
        reference: Reference,
        tags: Option<TagPattern>,
        targets: Vec<SyncTarget>,
    ) {
        let image = ImageLine {
            reference,
            tags,
            destination: None,
            targets,
            options: LineOptions::default(),
        };
        self.images.push((line, image));
    }

    pub(super) fn add_settings(&mut self, settings: RegistrySettings) {
        self.registries.push(settings);
    }

    /// Adds what is wrong with `text`, a part of the file that is no secret.
    pub(super) fn problem(&mut self, line: usize, text: &str, reason: impl Into<String>) {
        let masked = redact::without_logins(text);
        let problem = match &masked {
            Some(masked) => LineProblem::new(masked, "has a login in it"),
            None => LineProblem::new(text, reason),
        };
        self.problems.push((line, problem));
    }

    /// The boolean that a node is; anything else is a problem with the key `written`.
    pub(super) fn boolean(&mut self, node: &Node, written: &str) -> Option<bool> {
        let boolean = node.boolean();
        if boolean.is_none() {
            self.problem(node.line, written, "is neither `true` nor `false`");
        }
        boolean
    }

    /// The string that a node is, or `None` for none; anything else is a problem with the key
    /// `written`, without the value, which may be a secret.
    pub(super) fn string<'n>(&mut self, node: &'n Node, written: &str) -> Option<&'n str> {
        match &node.value {
            Value::Null => None,
            Value::Text(text) => Some(text),
            other => {
                let reason = format!("is {} where a string is expected", other.noun());
                self.problem(node.line, written, reason);
                None
            }
        }
    }

    /// Adds why the file cannot be parsed.
    pub(super) fn damaged(&mut self, error: DocumentError) {
        let problem = LineProblem::new("", error.reason);
        self.problems.push((error.line, problem));
    }

    /// Adds the keys that are in one mapping twice.
    pub(super) fn add_repeated(&mut self, document: &Document) {
        for repeated in &document.repeated {
            let reason = format!("is on line {} already", repeated.first);
            self.problem(repeated.line, &repeated.key, reason);
        }
    }

    /// Takes what is wrong with the file.
    pub(super) fn bad_lines(&mut self, format: ForeignFormat) -> impl Iterator<Item = BadLine> {
        let file = self.file.to_owned();
        let mut problems = std::mem::take(&mut self.problems);
        problems.sort_by_key(|(line, _)| *line);
        problems.into_iter().map(move |(line, problem)| {
            let file = file.clone();
            BadLine {
                format: Some(format),
                ..BadLine::new(ListPosition { file, line }, problem)
            }
        })
    }

    pub(super) fn warn(&mut self, line: usize, text: &str) {
        let text = redact::without_logins(text).unwrap_or_else(|| text.to_owned());
        let position = self.position(line);
        self.warnings
            .push(format!("{position}: {}", visible(&text)));
    }

    /// Warns of a key that has no meaning in `of`.
    pub(super) fn unknown_key(&mut self, line: usize, key: &str, of: &str) {
        self.warn(
            line,
            &format!("the key `{key}` of `{of}` is unknown, and ignored"),
        );
    }
}
