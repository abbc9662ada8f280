//! What Go prints and says of many templates, and that the crate does the same.
//!
//! `go.json` was written by the report package of go.podman.io/common on Go 1.26, with the data of
//! `data` below. Outputs that are not UTF-8 are in hexadecimal. `MARSHAL` is no template: it stands
//! for `json.MarshalIndent`.

use std::collections::BTreeMap;

use crate::{Field, Limits, Report, Struct, Time, Type, Value, json_indented};
use serde_json::Value as Json;

const DIGEST: &str = "digest.Digest";

fn time(text: &str) -> Value {
    Value::Time(Time::parse_rfc3339(text).expect("a time"))
}

fn texts(texts: &[&str]) -> Value {
    Value::texts(Some(texts.iter().map(ToString::to_string).collect()))
}

fn text_map(entries: &[(&str, &str)]) -> Value {
    let entries = entries.iter();
    let entries = entries.map(|(key, text)| ((*key).to_owned(), (*text).to_owned()));
    Value::text_map(Some(entries.collect()))
}

fn empty_structs(keys: &[&str]) -> Value {
    let empty = || Value::of_struct("struct {}", Vec::new());
    let entries = keys.iter().map(|key| ((*key).to_owned(), empty()));
    Value::map(Type::Struct("struct {}"), Some(entries.collect()))
}

fn layer(mime: &str, digest: &str, size: i64, annotations: Value) -> Value {
    Value::of_struct(
        "types.ImageInspectLayer",
        vec![
            Field::new("MIMEType", Value::text(mime)),
            Field::new("Digest", Value::named_text(DIGEST, digest)),
            Field::new("Size", Value::Int64(size)),
            Field::new("Annotations", annotations),
        ],
    )
}

fn output(fields: [Value; 12]) -> Value {
    let names = [
        "Name",
        "Tag",
        "Digest",
        "RepoTags",
        "Created",
        "DockerVersion",
        "Labels",
        "Architecture",
        "Os",
        "Layers",
        "LayersData",
        "Env",
    ];
    let fields = names.into_iter().zip(fields).map(|(name, value)| {
        let field = Field::new(name, value);
        match name {
            "Name" | "Tag" => field.omit_empty(),
            _ => field,
        }
    });
    Value::of_struct("inspect.Output", fields.collect())
}

fn full() -> Value {
    let layers = vec![
        layer("application/x", "sha256:11", 731, Value::text_map(None)),
        layer("application/y", "sha256:22", -1, text_map(&[("k", "v")])),
    ];
    output([
        Value::text("registry.example/lab/oci"),
        Value::text(""),
        Value::named_text(DIGEST, format!("sha256:{}", "ab".repeat(32))),
        texts(&["v1", "v2", "latest"]),
        Value::pointer(time("2026-01-02T03:04:05.678901Z")),
        Value::text("20.10"),
        text_map(&[
            ("org.b", "two words"),
            ("org.a", "1 < 2 & \"q\""),
            ("utf", "héllo\u{2028} wörld"),
        ]),
        Value::text("amd64"),
        Value::text("linux"),
        texts(&["sha256:11", "sha256:22"]),
        Value::list(Type::Struct("types.ImageInspectLayer"), Some(layers)),
        texts(&["PATH=/usr/bin:/bin", "A=b c"]),
    ])
}

fn empty() -> Value {
    output([
        Value::text(""),
        Value::text(""),
        Value::named_text(DIGEST, "nope"),
        texts(&[]),
        Value::nil_pointer(Type::Time),
        Value::text(""),
        Value::text_map(None),
        Value::text(""),
        Value::text(""),
        Value::texts(None),
        Value::list(Type::Struct("types.ImageInspectLayer"), None),
        Value::texts(None),
    ])
}

fn config() -> Value {
    let optional = |name, json, value| Field::new(name, value).json(json).omit_empty();
    let same = |name, value| optional(name, name, value);
    let created = || Value::pointer(time("2025-12-31T23:30:00+05:30"));
    let platform = Struct::new(
        "v1.Platform",
        vec![
            Field::new("Architecture", Value::text("arm64")).json("architecture"),
            Field::new("OS", Value::text("linux")).json("os"),
            optional("OSVersion", "os.version", Value::text("")),
            optional("OSFeatures", "os.features", Value::texts(None)),
            optional("Variant", "variant", Value::text("v8")),
        ],
    );
    let image_config = Value::of_struct(
        "v1.ImageConfig",
        vec![
            same("User", Value::text("")),
            same("ExposedPorts", empty_structs(&["80/tcp"])),
            same("Env", texts(&["A=1"])),
            same("Entrypoint", Value::texts(None)),
            same("Cmd", texts(&["sh", "-c"])),
            same("Volumes", Value::map(Type::Struct("struct {}"), None)),
            same("WorkingDir", Value::text("")),
            same("Labels", text_map(&[("a", "b")])),
            same("StopSignal", Value::text("")),
            same("ArgsEscaped", Value::Bool(false)),
        ],
    );
    let digests = ["sha256:aa", "sha256:bb"].map(|digest| Value::named_text(DIGEST, digest));
    let digests = Value::list(Type::Text(Some(DIGEST)), Some(digests.to_vec()));
    let root = Value::of_struct(
        "v1.RootFS",
        vec![
            Field::new("Type", Value::text("layers")).json("type"),
            Field::new("DiffIDs", digests).json("diff_ids"),
        ],
    );
    let history = |created: Value, by: &str, comment: &str, is_empty: bool| {
        Value::of_struct(
            "v1.History",
            vec![
                optional("Created", "created", created),
                optional("CreatedBy", "created_by", Value::text(by)),
                optional("Author", "author", Value::text("")),
                optional("Comment", "comment", Value::text(comment)),
                optional("EmptyLayer", "empty_layer", Value::Bool(is_empty)),
            ],
        )
    };
    let steps = vec![
        history(created(), "RUN <x>", "", true),
        history(Value::nil_pointer(Type::Time), "", "c", false),
    ];
    Value::pointer(Value::of_struct(
        "v1.Image",
        vec![
            optional("Created", "created", created()),
            optional("Author", "author", Value::text("me")),
            Field::embedded(platform),
            Field::new("Config", image_config)
                .json("config")
                .omit_zero(),
            Field::new("RootFS", root).json("rootfs"),
            optional(
                "History",
                "history",
                Value::list(Type::Struct("v1.History"), Some(steps)),
            ),
        ],
    ))
}

/// Executes a format, and returns what was printed, and the error.
fn run(format: &str, data: Value) -> (Vec<u8>, String) {
    if format == "MARSHAL" {
        return (json_indented(&data, "    ").into_bytes(), String::new());
    }
    let report = match Report::parse("skopeo inspect", format, Limits::default()) {
        Ok(report) => report,
        Err(error) => return (Vec::new(), error.to_string()),
    };
    match report.execute(data) {
        Ok(printed) => (printed, String::new()),
        Err(error) => (error.printed.clone(), error.to_string()),
    }
}

fn expected(case: &Json) -> (Vec<u8>, String) {
    let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
    let hex = text("hex");
    let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16));
    let bytes: Vec<u8> = bytes.map(Result::unwrap).collect();
    let printed = if hex.is_empty() {
        text("output").into_bytes()
    } else {
        bytes
    };
    (printed, text("error"))
}

#[test]
fn templates_print_and_fail_as_in_go() {
    let data = BTreeMap::from([("full", full()), ("empty", empty()), ("config", config())]);
    let cases: Vec<Json> = serde_json::from_str(include_str!("go.json")).unwrap();
    assert!(cases.len() >= 150, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["data"].as_str().unwrap();
        let format = case["format"].as_str().unwrap();
        let (printed, error) = run(format, data[name].clone());
        let wanted = expected(case);
        if (&printed, &error) != (&wanted.0, &wanted.1) {
            wrong.push(format!(
                "{name} {format:?}\n  is     {:?} {error}\n  wanted {:?} {}",
                String::from_utf8_lossy(&printed),
                String::from_utf8_lossy(&wanted.0),
                wanted.1
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} wrong",
        wrong.join("\n"),
        wrong.len()
    );
}
