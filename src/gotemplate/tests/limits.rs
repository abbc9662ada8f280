//! What a template may take, and how it is refused.

use hod_gotext::quote;

use crate::{Limits, Report, Type, Value, is_json};

const SMALL: Limits = Limits {
    source_len: 4_096,
    output_len: 1_000,
    steps: 10_000,
};

#[track_caller]
fn refusal(format: &str) -> String {
    let data = Value::texts(Some(vec!["a".to_owned(); 10]));
    match Report::parse("t", format, SMALL) {
        Err(error) => error.to_string(),
        Ok(report) => report.execute(data).expect_err(format).error.to_string(),
    }
}

#[test]
fn what_grows_without_end_is_refused() {
    let refusals = [
        ("{{range 100000000}}{{end}}", "more than 10000 steps"),
        ("{{range 1000}}{{range 1000}}x{{end}}{{end}}", "1000 bytes"),
        ("{{printf \"%999999d\" 1}}", "longer than 1000 bytes"),
        (
            "{{pad \"a\" 9999999999 1}}",
            "Repeat output length overflow",
        ),
        (
            "{{$x := \"aaaaaaaaaa\"}}{{range 100}}{{$x = print $x $x}}{{end}}",
            "longer than 1000 bytes",
        ),
        (
            "{{range .}}{{template \"T\"}}{{end}}{{define \"T\"}}{{template \"T\"}}{{end}}",
            "exceeded maximum template depth",
        ),
    ];
    for (format, words) in refusals {
        let message = refusal(format);
        assert!(message.contains(words), "{format}: {message}");
    }
}

#[test]
fn what_is_deep_or_long_is_refused() {
    let parentheses = format!("{{{{{}1{}}}}}", "(".repeat(500), ")".repeat(500));
    let message = refusal(&parentheses);
    assert!(message.contains("max expression depth"), "{message}");
    let blocks = format!("{}{}", "{{if 1}}".repeat(200), "{{end}}".repeat(200));
    let message = refusal(&blocks);
    assert!(message.contains("max expression depth"), "{message}");
    let chained = format!("{{{{if 0}}}}{}{{{{end}}}}", "{{else if 0}}".repeat(300));
    let message = refusal(&chained);
    assert!(message.contains("max expression depth"), "{message}");
    assert!(refusal(&"x".repeat(5_000)).contains("longer than 4096 bytes"));
}

#[test]
fn what_was_printed_before_an_error_is_kept() {
    let report = Report::parse("t", "a{{.X}}b", Limits::default()).unwrap();
    let error = report.execute(Value::Int(1)).unwrap_err();
    assert_eq!(error.printed, b"a");
    assert!(error.to_string().contains("can't evaluate field X"));
}

#[test]
fn formats_for_the_document_are_recognised() {
    for format in ["json", " json\n", "{{json}}", "{{ json }}", " {{json.}} "] {
        assert!(is_json(format), "{format:?}");
    }
    for format in [
        "",
        "{{json .}}",
        "{{ json . }}",
        "JSON",
        "json x",
        "{{jsonx}}",
    ] {
        assert!(!is_json(format), "{format:?}");
    }
}

#[test]
fn an_interface_without_a_value_prints_as_nil() {
    let data = Value::list(Type::Any, Some(vec![Value::Nil, Value::Int(1)]));
    let print = |format: &str| {
        let report = Report::parse("t", format, Limits::default()).unwrap();
        let printed = report.execute(data.clone());
        printed.map(|text| String::from_utf8(text).unwrap())
    };
    assert_eq!(print("{{.}}").unwrap(), "[<nil> 1]\n");
    assert_eq!(print("{{json .}}").unwrap(), "[null,1]\n");
    let error = print("{{range $}}{{range .}}{{.X}}{{end}}{{end}}").unwrap_err();
    let nil = "nil pointer evaluating interface {}.X";
    assert!(error.to_string().ends_with(nil), "{error}");
}

#[test]
fn texts_are_quoted_as_in_go() {
    assert_eq!(
        quote("a\"\\\n\u{7f}é\u{200b}".as_bytes()),
        r#""a\"\\\n\x7fé\u200b""#
    );
    assert_eq!(quote(b"\xff\x00"), r#""\xff\x00""#);
    assert_eq!(
        quote("\u{1f600}\u{10ffff}".as_bytes()),
        "\"\u{1f600}\\U0010ffff\""
    );
}
