//! YAML as a tree of texts with their lines. JSON is read as the YAML that it is.
//!
//! Texts stay as written: `1.10` is not a number here. The tree is bounded, since aliases can make
//! a small file arbitrarily large.

use std::collections::HashMap;

use hod_report::amount::format_len;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::node::{Document, DocumentError, Node, Pair, RepeatedKey, Value};

/// The deepest nesting that is read; the files need four levels.
const DEPTH_MAX: usize = 32;
/// The most nodes of a document, including the copies that aliases make.
const N_NODES_MAX: usize = 500_000;
/// The most bytes of text that aliases copy.
const COPIED_LEN_MAX: usize = 1024 * 1024;
/// The key whose value is merged into the mapping that has it.
const MERGE_KEY: &str = "<<";
/// The longest text that is read, in bytes: the parser takes up to 200 times as much memory for one
/// line of brackets.
const LEN_MAX: usize = 2 * 1024 * 1024;

/// Parses a text of one document.
pub(super) fn parse(text: &str) -> Result<Document, DocumentError> {
    if text.len() > LEN_MAX {
        return Err(DocumentError {
            line: 1,
            reason: format!("begins a file of more than {}", format_len(LEN_MAX as u64)),
        });
    }
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::default();
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| DocumentError {
            line: error.marker().line(),
            reason: format!("is not valid YAML: {}", error.info()),
        })?;
        builder.add(event, span.start)?;
    }
    Ok(builder.finish())
}

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
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    n_nodes: usize,
    copied_len: usize,
    root: Option<Node>,
    repeated: Vec<RepeatedKey>,
}

impl Builder {
    /// Takes the next event of the parser.
    fn add(&mut self, event: Event<'_>, at: Marker) -> Result<(), DocumentError> {
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
    fn finish(self) -> Document {
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// The document on one line, with the line of each key and text.
    fn shown(node: &Node) -> String {
        let line = node.line;
        match &node.value {
            Value::Null => format!("null@{line}"),
            Value::Text(text) => format!("{text}@{line}"),
            Value::Sequence(nodes) => {
                let nodes: Vec<String> = nodes.iter().map(shown).collect();
                format!("[{}]", nodes.join(" "))
            }
            Value::Mapping(pairs) => {
                let pairs = pairs.iter();
                let pairs = pairs.map(|p| format!("{}@{}={}", p.key, p.line, shown(&p.value)));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(shown(&parse(text).unwrap().root), expect, "{text}");
    }

    #[test]
    fn scalars_stay_as_written_and_have_lines() {
        check(
            "a:\n  b: [1.10, 0x10, 010, 1e3, true]\n",
            "{a@1={b@2=[1.10@2 0x10@2 010@2 1e3@2 true@2]}}",
        );
        check(
            "a:\nb: ~\nc: null\nd: 'null'\ne: \"\"",
            "{a@1=null@1 b@2=null@2 c@3=null@3 d@4=null@4 e@5=@5}",
        );
        check(
            "a:\n- 1.10\n- |\n  x\n- >-\n  y\n  z\n",
            "{a@1=[1.10@2 x\n@4 y z@6]}",
        );
        check(
            "a: &x {u: v}\nb: *x\nc:\n  <<: *x\n  w: 1\n",
            "{a@1={u@1=v@1} b@2={u@1=v@1} c@3={w@5=1@5 u@1=v@1}}",
        );
        check("", "null@1");
        check("---\na: b\n...\n", "{a@2=b@2}");
        check("\n# c\n---\na: b\n---\n", "{a@4=b@4}");
    }

    #[test]
    fn json_is_read() {
        check(
            "{\n\t\"a/b:1,2\": [\n\t\t\"c\",\n\t\t\"d\\u0041\\/\"\n\t],\n\t\"e\":\"f\",\"g\":null}\n",
            "{a/b:1,2@2=[c@3 dA/@4] e@6=f@6 g@6=null@6}",
        );
        let long = "t".repeat(5000);
        check(
            &format!("{{\"a:{long}\": \"b\"}}"),
            &format!("{{a:{long}@1=b@1}}"),
        );
    }

    #[test]
    fn what_cannot_be_read_has_its_line_and_no_text_of_the_file() {
        #[track_caller]
        fn check(text: &str, line: usize, reason: &str) {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{error:?}");
            assert!(error.reason.contains(reason), "{error:?}");
            assert!(!error.reason.contains("s3cret"), "{error:?}");
        }
        check("a: b\nc: \"s3cret\nd: e\n", 2, "is not valid YAML");
        check("a: [s3cret\nb: c\n", 2, "is not valid YAML");
        check("a: b\n\tc: s3cret\n", 1, "is not valid YAML");
        check("a: *s3cret\n", 1, "unknown anchor");
        check("a: &x [*x]\n", 1, "contains it");
        check("? [a]\n: b\n", 1, "as a key");
        check("a: 1\n---\nb: 1\n", 3, "second document");
        check("a:\n  <<: x\n", 2, "merges a mapping");
    }

    #[test]
    fn a_repeated_key_is_told() {
        let document = parse("a: 1\nb: 2\na: 3\n").unwrap();
        assert_eq!(shown(&document.root), "{a@1=1@1 b@2=2@2}");
        let repeated = RepeatedKey {
            line: 3,
            key: "a".to_owned(),
            first: 1,
        };
        assert_eq!(document.repeated, [repeated]);
    }

    #[test]
    fn a_small_file_does_not_become_large() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..20 {
            let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
            writeln!(bomb, "a{n}: &a{n} [{aliases}]").unwrap();
        }
        let error = parse(&bomb).unwrap_err();
        assert!(error.reason.contains("values"), "{error:?}");
        let long = format!(
            "a: &a \"{}\"\nb: [{}]\n",
            "x".repeat(100_000),
            "*a,".repeat(1000)
        );
        let error = parse(&long).unwrap_err();
        assert!(error.reason.contains("too large"), "{error:?}");
        for deep in [
            "[".repeat(100_000),
            "a: {".repeat(200),
            "- ".repeat(100_000),
        ] {
            let error = parse(&deep).unwrap_err();
            let is_told = ["nested too deeply", "recursion limit"]
                .iter()
                .any(|reason| error.reason.contains(reason));
            assert!(is_told, "{error:?}");
        }
        let mut chain = "a0: &a0 [x]\n".to_owned();
        for n in 1..100 {
            writeln!(chain, "a{n}: &a{n} [*a{}]", n - 1).unwrap();
        }
        assert!(parse(&chain).is_err());
        let wide = format!("a: [{}]", "x,".repeat(N_NODES_MAX));
        assert!(parse(&wide).is_err());
        assert!(parse(&"#\n".repeat(LEN_MAX / 2)).is_ok());
        assert!(parse(&"#\n".repeat(LEN_MAX)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "[-a:?*&!|>'\"{}\\[\\],#% \\n\\t<~\\\\]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,60}") {
            let _ = parse(&text);
        }
    }
}
