//! JUnit's XML as CI systems read it: strictly.

use std::collections::BTreeMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// The one suite of a report.
#[derive(Debug, Default)]
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) failures: usize,
    pub(super) errors: usize,
    pub(super) skipped: usize,
    pub(super) cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) class_name: String,
    pub(super) name: String,
    /// The element that says so: `failure`, `error`, `skipped`, or nothing.
    pub(super) outcome: String,
    /// The type of a failure or error.
    pub(super) kind: String,
    properties: BTreeMap<String, String>,
}

impl Case {
    #[track_caller]
    pub(super) fn property(&self, name: &str) -> &str {
        &self.properties[name]
    }
}

type Attributes = BTreeMap<String, String>;

impl Suite {
    /// Parses a report, each element where the schema has it and with the attributes it must have.
    #[track_caller]
    pub(super) fn parse(xml: &str) -> Self {
        assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
        let mut reader = Reader::from_str(xml);
        reader.config_mut().check_end_names = true;
        let mut open: Vec<String> = Vec::new();
        let mut suite = Self::default();
        let mut tests = 0;
        loop {
            let (element, is_empty) = match reader.read_event().unwrap() {
                Event::Start(element) => (element.into_owned(), false),
                Event::Empty(element) => (element.into_owned(), true),
                Event::End(_) => {
                    open.pop();
                    continue;
                }
                Event::Eof => break,
                _ => continue,
            };
            let name = element.name().as_ref().to_owned();
            let parent = open.last().map_or("", String::as_str);
            let attributes = attributes(&element);
            let of = |name: &str| attributes[name].clone();
            match (parent, name.as_str()) {
                ("", "testsuites") | ("testcase", "properties") => {}
                ("testsuites", "testsuite") => {
                    let number = |name: &str| attributes[name].parse().unwrap();
                    suite.name = of("name");
                    (suite.failures, suite.errors) = (number("failures"), number("errors"));
                    (suite.skipped, tests) = (number("skipped"), number("tests"));
                    let _: f64 = attributes["time"].parse().unwrap();
                }
                ("testsuite", "testcase") => suite.cases.push(Case {
                    class_name: of("classname"),
                    name: of("name"),
                    ..Case::default()
                }),
                ("properties", "property") => {
                    let case = suite.cases.last_mut().unwrap();
                    case.properties.insert(of("name"), of("value"));
                }
                ("testcase", "failure" | "error" | "skipped") => {
                    assert!(!of("message").is_empty());
                    let case = suite.cases.last_mut().unwrap();
                    assert!(case.outcome.is_empty(), "two outcomes");
                    case.kind = attributes.get("type").cloned().unwrap_or_default();
                    case.outcome.clone_from(&name);
                }
                other => panic!("{other:?} is not in the schema"),
            }
            if !is_empty {
                open.push(name);
            }
        }
        assert!(open.is_empty());
        let count = |outcome: &str| suite.cases.iter().filter(|c| c.outcome == outcome).count();
        assert_eq!(tests, suite.cases.len());
        assert_eq!(
            (suite.failures, suite.errors, suite.skipped),
            (count("failure"), count("error"), count("skipped"))
        );
        suite
    }
}

fn attributes(element: &BytesStart<'_>) -> Attributes {
    element
        .attributes()
        .map(|attribute| {
            let attribute = attribute.unwrap();
            let key = attribute.key.as_ref().to_owned();
            (
                key,
                attribute
                    .normalized_value(XmlVersion::Implicit1_0)
                    .unwrap()
                    .into_owned(),
            )
        })
        .collect()
}
