//! Texts that go into a bundle, from `templates/` or the user's own.
//!
//! Equal facts give equal bytes. A name in a template that is not set is an error, which names the
//! line.

mod facts;
mod quoting;

pub use facts::{BundleKind, Facts, FileFacts, ImageFacts, ToolFacts};

use hod_report::{Diagnose, Diagnosis, ErrorClass};
use std::collections::BTreeSet;

use minijinja::{Environment, UndefinedBehavior};

/// One of hod's own templates: its name, which is the path in the bundle, and its text.
const BUILT_IN: [(&str, &str); 5] = [
    ("MIRRORS.txt", include_str!("../../templates/MIRRORS.txt")),
    ("README.txt", include_str!("../../templates/README.txt")),
    (
        "hod-serve.service",
        include_str!("../../templates/hod-serve.service"),
    ),
    ("hosts.toml", include_str!("../../templates/hosts.toml")),
    ("install.sh", include_str!("../../templates/install.sh")),
];
/// The one of them that is run.
const INSTALLER: &str = "install.sh";

/// A template of the user's: in place of the built-in one of its name, or besides them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its path in the bundle, not checked here.
    pub name: String,
    pub text: String,
    pub executable: bool,
}

/// A text that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The path in the bundle, as the template's name has it.
    pub name: String,
    pub text: String,
    pub executable: bool,
}

/// Why a template cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[error("template `{name}`{} cannot be rendered", at_line(*line))]
pub struct TemplateError {
    pub name: String,
    pub line: Option<usize>,
    pub source: minijinja::Error,
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(", line {line},"))
        .unwrap_or_default()
}

impl Diagnose for TemplateError {
    fn diagnose(&self) -> Diagnosis {
        Diagnosis::new(ErrorClass::Usage).hint(
            "Nothing was written. Templates use the syntax of Jinja. The value of `--set KEY=VALUE` \
             is `set.KEY`; `set.KEY|default(\"x\")` makes it optional.",
        )
    }
}

/// Renders every text that goes into a bundle, sorted by name: the built-in ones and `own`.
pub fn render(facts: &Facts, own: &[Template]) -> Result<Vec<Rendered>, TemplateError> {
    let environment = environment();
    let context = facts.context();
    let is_replaced = |name: &str| own.iter().any(|template| template.name == name);
    let built_in = BUILT_IN.iter().filter(|(name, _)| !is_replaced(name));
    let mut texts: Vec<(&str, &str, bool)> = built_in
        .map(|(name, text)| (*name, *text, *name == INSTALLER))
        .collect();
    for template in own {
        // The installer is executable, regardless of its template's mode.
        let executable = template.executable || template.name == INSTALLER;
        texts.push((&template.name, &template.text, executable));
    }
    texts.sort_by_key(|(name, ..)| *name);
    let rendered = texts.into_iter().map(|(name, text, executable)| {
        let text = environment.render_named_str(name, text, &context);
        let text = text.map_err(|source| TemplateError {
            name: name.to_owned(),
            line: source.line(),
            source,
        })?;
        Ok(Rendered {
            name: name.to_owned(),
            text,
            executable,
        })
    });
    rendered.collect()
}

/// The `set.KEY` that no text uses, of those that `settings` gives; then all that are used.
///
/// `None` where a text looks through `set` in another way.
pub fn unused_settings<'s>(
    settings: impl IntoIterator<Item = &'s String>,
    own: &[Template],
) -> Option<(Vec<&'s String>, BTreeSet<String>)> {
    let environment = environment();
    let is_replaced = |name: &str| own.iter().any(|template| template.name == name);
    let built_in = BUILT_IN.iter().filter(|(name, _)| !is_replaced(name));
    let texts = built_in.map(|(_, text)| *text);
    let mut used = BTreeSet::new();
    for text in texts.chain(own.iter().map(|template| template.text.as_str())) {
        // One that is not a template is reported when it is rendered.
        let Ok(template) = environment.template_from_str(text) else {
            continue;
        };
        for name in template.undeclared_variables(true) {
            match name.strip_prefix("set.") {
                Some(key) => drop(used.insert(key.split('.').next().unwrap_or(key).to_owned())),
                None if name == "set" => return None,
                None if name == "mirror" || name.starts_with("mirror.") => {
                    used.extend(["registry", "project"].map(str::to_owned));
                }
                None => {}
            }
        }
    }
    let settings = settings.into_iter();
    let unused = settings.filter(|key| !used.contains(*key)).collect();
    Some((unused, used))
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_keep_trailing_newline(true);
    // By a template's name, HTML would be escaped in some.
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.add_filter("sh", |text: &str| quoting::shell_quoted(text));
    environment.add_filter("shname", |text: &str| quoting::shell_word(text));
    environment
}

#[cfg(test)]
mod tests;
