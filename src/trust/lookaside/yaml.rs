//! YAML as `registries.d` has it: mappings of mappings of texts.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// The longest file that is read, in bytes: the parser takes much more memory than the text.
pub(super) const LEN_MAX: u64 = 1024 * 1024;
/// The deepest nesting that is read; the files need three levels.
const DEPTH_MAX: usize = 16;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Text { text: String, is_plain: bool },
    Sequence,
    Mapping(Vec<Pair>),
}

/// A key of a mapping and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: Value,
}

/// Why a text is not what is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YamlError {
    pub(super) line: usize,
    pub(super) problem: String,
}

impl YamlError {
    pub(super) fn new(line: usize, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { line, problem }
    }
}

/// A sequence or mapping that is not yet complete.
enum Open {
    /// Its content is not kept: nothing here is a sequence.
    Sequence,
    Mapping {
        pairs: Vec<Pair>,
        /// The key whose value comes next, with its line.
        key: Option<Pair>,
    },
}

/// Parses the first document of a text.
pub(super) fn parse(text: &str) -> Result<Value, YamlError> {
    let mut open: Vec<Open> = Vec::new();
    let mut root = Value::Null;
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let problem = crate::go_text::plain(error.info());
            YamlError::new(error.marker().line(), problem)
        })?;
        let line = span.start.line();
        let complete = match event {
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
            Event::StreamEnd | Event::DocumentEnd => break,
            Event::Alias(_) => return Err(YamlError::new(line, "aliases are not supported")),
            Event::Scalar(text, style, _, tag) => {
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                if let Some(Open::Mapping {
                    key: key @ None, ..
                }) = open.last_mut()
                {
                    if is_plain && text == "<<" {
                        return Err(YamlError::new(line, "merge keys are not supported"));
                    }
                    *key = Some(Pair {
                        line,
                        key: text.into_owned(),
                        value: Value::Null,
                    });
                    continue;
                }
                match &*text {
                    "" | "~" | "null" | "Null" | "NULL" if is_plain => Value::Null,
                    _ => Value::Text {
                        text: text.into_owned(),
                        is_plain,
                    },
                }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if let Some(Open::Mapping { key: None, .. }) = open.last() {
                    return Err(YamlError::new(line, "a key is not a text"));
                }
                if open.len() >= DEPTH_MAX {
                    return Err(YamlError::new(line, "the values are nested too deeply"));
                }
                open.push(match event {
                    Event::SequenceStart(..) => Open::Sequence,
                    _ => Open::Mapping {
                        pairs: Vec::new(),
                        key: None,
                    },
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::Mapping { pairs, .. }) => Value::Mapping(pairs),
                Some(Open::Sequence) | None => Value::Sequence,
            },
        };
        match open.last_mut() {
            None => root = complete,
            Some(Open::Sequence) => {}
            Some(Open::Mapping { pairs, key }) => {
                let Some(pair) = key.take() else { continue };
                if let Some(first) = pairs.iter().find(|first| first.key == pair.key) {
                    let key = crate::go_text::quoted(&pair.key);
                    let problem =
                        format!("mapping key {key} already defined at line {}", first.line);
                    return Err(YamlError::new(pair.line, problem));
                }
                pairs.push(Pair {
                    value: complete,
                    ..pair
                });
            }
        }
    }
    Ok(root)
}

impl Pair {
    /// Returns the pairs of the value; `None` if it is null.
    pub(super) fn mapping(self) -> Result<Option<Vec<Pair>>, YamlError> {
        match self.value {
            Value::Null => Ok(None),
            Value::Mapping(pairs) => Ok(Some(pairs)),
            Value::Text { .. } | Value::Sequence => Err(self.wrong("a mapping")),
        }
    }

    /// Returns the text of the value; empty if it is null.
    pub(super) fn text(self) -> Result<String, YamlError> {
        match self.value {
            Value::Null => Ok(String::new()),
            Value::Text { text, .. } => Ok(text),
            Value::Mapping(_) | Value::Sequence => Err(self.wrong("a text")),
        }
    }

    /// Returns the truth of the value, in all the words that YAML has had; `None` if it is null.
    pub(super) fn truth(self) -> Result<Option<bool>, YamlError> {
        let Value::Text {
            text,
            is_plain: true,
        } = &self.value
        else {
            let is_null = self.value == Value::Null;
            return is_null
                .then_some(None)
                .ok_or_else(|| self.wrong("true or false"));
        };
        match text.as_str() {
            "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                Ok(Some(true))
            }
            "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off"
            | "OFF" => Ok(Some(false)),
            _ => Err(self.wrong("true or false")),
        }
    }

    fn wrong(&self, expected: &str) -> YamlError {
        let key = crate::go_text::quoted(&self.key);
        YamlError::new(self.line, format!("the value of {key} is not {expected}"))
    }
}
