//! Builds the tree of a document, within bounds.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, ScalarStyle};

use super::{Document, DocumentError, Node, Pair, RepeatedKey, Value};

/// The deepest nesting that is read; the files need four levels.
const DEPTH_MAX: usize = 32;
/// The most nodes of a document, including the copies that aliases make.
pub(super) const N_NODES_MAX: usize = 500_000;
/// The most bytes of text that aliases copy.
const COPIED_LEN_MAX: usize = 1024 * 1024;
/// The key whose value is merged into the mapping that has it.
const MERGE_KEY: &str = "<<";

/// A sequence or a mapping whose end is still to come.
struct Open {
    line: usize,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping {
        pairs: Vec<Pair>,
        lines: HashMap<String, usize>,
        /// The key whose value comes next, with its line.
        key: Option<Key>,
        /// Values of `<<`, after all other pairs.
        merged: Vec<Node>,
    },
}

struct Key {
    line: usize,
    text: String,
    is_merge: bool,
}

/// Makes a tree of the events of a parser, with a stack of its own: nothing recurses by input.
#[derive(Default)]
pub(super) struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    n_nodes: usize,
    copied_len: usize,
    root: Option<Node>,
    repeated: Vec<RepeatedKey>,
}

impl Builder {
    /// Takes the next event of the parser.
    pub(super) fn add(&mut self, event: Event<'_>, at: Marker) -> Result<(), DocumentError> {
        let line = at.line();
        let fail = |reason: &str| {
            Err(DocumentError {
                line,
                reason: reason.to_owned(),
            })
        };
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => return Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                if self.takes_key() {
                    self.set_key(Key {
                        line,
                        is_merge: is_plain && text == MERGE_KEY,
                        text: text.into_owned(),
                    });
                    return Ok(());
                }
                let value = match &*text {
                    "" | "~" | "null" | "Null" | "NULL" if is_plain => Value::Null,
                    _ => Value::Text(text.into_owned()),
                };
                self.count(line, 1)?;
                self.close(anchor, Node { line, value })?;
            }
            Event::Alias(anchor) => {
                if self.takes_key() {
                    return fail("an alias as a key is not supported");
                }
                let Some(node) = self.anchors.get(&anchor) else {
                    return fail("an alias refers to a value that contains it");
                };
                let size = Size::of(node);
                if self.open.len() + size.depth > DEPTH_MAX {
                    return fail("the values are nested too deeply");
                }
                self.copied_len = self.copied_len.saturating_add(size.len);
                if self.copied_len > COPIED_LEN_MAX {
                    return fail("its aliases make the file too large");
                }
                // What is wrong with a copy is found where the alias stands.
                let node = Node {
                    line,
                    value: node.value.clone(),
                };
                self.count(line, size.n_nodes)?;
                self.close(0, node)?;
            }
            Event::SequenceStart(anchor, _) => {
                self.start(line, anchor, Content::Sequence(Vec::new()))?;
            }
            Event::MappingStart(anchor, _) => {
                let content = Content::Mapping {
                    pairs: Vec::new(),
                    lines: HashMap::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.start(line, anchor, content)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return fail("is not valid YAML");
                };
                let (anchor, node) = open.node()?;
                self.close(anchor, node)?;
            }
        }
        Ok(())
    }

    /// The document, after the last event.
    pub(super) fn finish(self) -> Document {
        let nothing = Node {
            line: 1,
            value: Value::Null,
        };
        Document {
            root: self.root.unwrap_or(nothing),
            repeated: self.repeated,
        }
    }

    /// Whether the next value is a key.
    fn takes_key(&self) -> bool {
        let open = self.open.last().map(|open| &open.content);
        matches!(open, Some(Content::Mapping { key: None, .. }))
    }

    fn set_key(&mut self, new: Key) {
        if let Some(Open {
            content: Content::Mapping { key, .. },
            ..
        }) = self.open.last_mut()
        {
            *key = Some(new);
        }
    }

    fn count(&mut self, line: usize, n: usize) -> Result<(), DocumentError> {
        self.n_nodes = self.n_nodes.saturating_add(n);
        if self.n_nodes > N_NODES_MAX {
            return Err(DocumentError {
                line,
                reason: format!("the file has more than {N_NODES_MAX} values"),
            });
        }
        Ok(())
    }

    fn start(&mut self, line: usize, anchor: usize, content: Content) -> Result<(), DocumentError> {
        let reason = if self.takes_key() {
            "a list or a mapping as a key is not supported"
        } else if self.open.len() >= DEPTH_MAX {
            "the values are nested too deeply"
        } else {
            self.open.push(Open {
                line,
                anchor,
                content,
            });
            return self.count(line, 1);
        };
        Err(DocumentError {
            line,
            reason: reason.to_owned(),
        })
    }

    /// Puts a whole value where it belongs.
    fn close(&mut self, anchor: usize, node: Node) -> Result<(), DocumentError> {
        if anchor != 0 {
            let size = Size::of(&node);
            self.copied_len = self.copied_len.saturating_add(size.len);
            self.count(node.line, size.n_nodes)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            if self.root.is_some() && node.value != Value::Null {
                return Err(DocumentError {
                    line: node.line,
                    reason: "begins a second document; hod reads files of one".to_owned(),
                });
            }
            self.root.get_or_insert(node);
            return Ok(());
        };
        match &mut open.content {
            Content::Sequence(nodes) => nodes.push(node),
            Content::Mapping {
                pairs,
                lines,
                key,
                merged,
            } => match key.take() {
                Some(key) if key.is_merge => merged.push(node),
                Some(key) => {
                    if let Some(first) = lines.get(&key.text) {
                        self.repeated.push(RepeatedKey {
                            line: key.line,
                            first: *first,
                            key: key.text,
                        });
                        return Ok(());
                    }
                    lines.insert(key.text.clone(), key.line);
                    pairs.push(Pair {
                        line: key.line,
                        key: key.text,
                        value: node,
                    });
                }
                None => {}
            },
        }
        Ok(())
    }
}

impl Open {
    /// The whole value, and its anchor.
    fn node(self) -> Result<(usize, Node), DocumentError> {
        let value = match self.content {
            Content::Sequence(nodes) => Value::Sequence(nodes),
            Content::Mapping {
                mut pairs,
                mut lines,
                merged,
                ..
            } => {
                for node in merged {
                    merge(&mut pairs, &mut lines, node)?;
                }
                Value::Mapping(pairs)
            }
        };
        let line = self.line;
        Ok((self.anchor, Node { line, value }))
    }
}

/// Adds those pairs of a value of `<<`, a mapping or several, whose keys are not there yet.
fn merge(
    pairs: &mut Vec<Pair>,
    lines: &mut HashMap<String, usize>,
    from: Node,
) -> Result<(), DocumentError> {
    match from.value {
        Value::Mapping(others) => {
            for pair in others {
                if !lines.contains_key(&pair.key) {
                    lines.insert(pair.key.clone(), pair.line);
                    pairs.push(pair);
                }
            }
            Ok(())
        }
        Value::Sequence(nodes) => nodes
            .into_iter()
            .try_for_each(|node| merge(pairs, lines, node)),
        Value::Null | Value::Text(_) => Err(DocumentError {
            line: from.line,
            reason: "`<<` merges a mapping, and this is none".to_owned(),
        }),
    }
}

/// How much a copy of a node is.
#[derive(Clone, Copy)]
struct Size {
    n_nodes: usize,
    /// Bytes of text.
    len: usize,
    depth: usize,
}

impl Size {
    /// Recurses at most [`DEPTH_MAX`] deep.
    fn of(node: &Node) -> Self {
        let whole = Self {
            n_nodes: 1,
            len: 0,
            depth: 1,
        };
        let add = |size: Self, child: Self, len: usize| Self {
            n_nodes: size.n_nodes + child.n_nodes,
            len: size.len + child.len + len,
            depth: size.depth.max(child.depth + 1),
        };
        match &node.value {
            Value::Null => whole,
            Value::Text(text) => Self {
                len: text.len(),
                ..whole
            },
            Value::Sequence(nodes) => nodes
                .iter()
                .fold(whole, |size, node| add(size, Self::of(node), 0)),
            Value::Mapping(pairs) => pairs.iter().fold(whole, |size, pair| {
                add(size, Self::of(&pair.value), pair.key.len())
            }),
        }
    }
}
