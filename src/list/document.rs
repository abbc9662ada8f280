//! YAML as a tree of texts with their lines. JSON is read as the YAML that it is.
//!
//! Texts stay as written: `1.10` is not a number here. The tree is bounded, since aliases can make
//! a small file arbitrarily large.

mod builder;

use hod_report::amount::format_len;
use saphyr_parser::Parser;

use builder::Builder;

/// The longest text that is read, in bytes: the parser takes up to 200 times as much memory for one
/// line of brackets.
const LEN_MAX: usize = 2 * 1024 * 1024;

/// A value, and where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Counted from one.
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// No value, `~` or `null`.
    Null,
    /// Any other scalar, as written.
    Text(String),
    Sequence(Vec<Node>),
    Mapping(Vec<Pair>),
}

/// A key of a mapping, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// The line of the key.
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: Node,
}

impl Node {
    /// The pairs of a mapping; none if there is no value, and `None` if it is something else.
    pub(super) fn pairs(&self) -> Option<&[Pair]> {
        match &self.value {
            Value::Null => Some(&[]),
            Value::Mapping(pairs) => Some(pairs),
            Value::Text(_) | Value::Sequence(_) => None,
        }
    }

    /// The boolean that it is, in the words of YAML 1.1, which the tools take too.
    pub(super) fn boolean(&self) -> Option<bool> {
        let Value::Text(text) = &self.value else {
            return None;
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

impl Value {
    /// What it is, for messages.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "a text",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// One document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) root: Node,
    /// Keys that their mapping has already. The first one counts.
    pub(super) repeated: Vec<RepeatedKey>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct RepeatedKey {
    pub(super) line: usize,
    pub(super) key: String,
    /// The line of the first one.
    pub(super) first: usize,
}

/// Why a text is not a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DocumentError {
    /// Counted from one.
    pub(super) line: usize,
    /// Never has a part of the document in it, which may be a password.
    pub(super) reason: String,
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::builder::N_NODES_MAX;
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
            bomb.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
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
            chain.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
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
