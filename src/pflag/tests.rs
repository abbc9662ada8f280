//! What a program with pflag 1.0.10 and cobra 1.10.2 makes of many command lines, and that the crate
//! does the same.
//!
//! `go.json` was written by such a program, whose commands and flags are those of `program` below.
//! Flags of the program itself begin with `global.` in it.

use crate::{Command, Flag, Kind, Layout, Program, Request, Value, Values};
use serde_json::{Map, Value as Json, json};

fn program() -> Program {
    Program {
        name: "prog",
        about: "Does things with images",
        version: "1.2.3".to_owned(),
        flags: vec![
            Flag::new("version", Kind::Bool, "Print the version").short('v'),
            Flag::new("tls-verify", Kind::Bool, "old").hidden(),
        ],
        globals: vec![
            Flag::new("debug", Kind::Bool, "print more"),
            Flag::new("insecure-policy", Kind::Bool, "no policy"),
            Flag::new("policy", Kind::Text, "Path of a policy"),
            Flag::new(
                "override-arch",
                Kind::Text,
                "use `ARCH` for choosing images",
            ),
            Flag::new("command-timeout", Kind::Duration, "timeout of the command"),
            Flag::new("registries-conf", Kind::Text, "hidden").hidden(),
        ],
        commands: vec![
            copy(),
            inspect(),
            Command {
                is_hidden: true,
                layout: Layout::Full,
                ..command("layers", "layers IMAGE", "Old")
            },
            Command {
                about: "Long of sync".to_owned(),
                examples: "prog sync x",
                flags: vec![
                    Flag::new("src", Kind::Text, "transport").short('s'),
                    Flag::new("policy", Kind::Text, "its own").short('p'),
                ],
                layout: Layout::Full,
                ..command("sync", "sync SOURCE DESTINATION", "Synchronize images")
            },
            command("standalone-sign", "standalone-sign MANIFEST", "Sign"),
            Command {
                is_hidden: true,
                ..command(
                    "dump-without-verification-of-anything",
                    "dump-without-verification-of-anything FILE",
                    "Dump",
                )
            },
        ],
    }
}

fn command(name: &'static str, usage: &'static str, summary: &'static str) -> Command {
    Command {
        name,
        usage,
        summary,
        about: String::new(),
        examples: "",
        flags: Vec::new(),
        is_hidden: false,
        layout: Layout::Plain,
    }
}

fn copy() -> Command {
    Command {
        about: "Copies an image.\nWith two lines.\n".to_owned(),
        examples: "prog copy a b\nprog copy c d",
        flags: vec![
            Flag::new("all", Kind::Bool, "Copy all images").short('a'),
            Flag::new("quiet", Kind::Bool, "Print nothing").short('q'),
            Flag::new("additional-tag", Kind::TextSlice, "more tags"),
            Flag::new("label", Kind::TextArray, "each as it is"),
            Flag::new(
                "encrypt-layer",
                Kind::IntSlice,
                "layers to encrypt,\nby number",
            ),
            Flag::new("parallel", Kind::Uint, "Maximum of copies"),
            Flag::new("retry-times", Kind::Int, "how often"),
            Flag::new("retry-delay", Kind::Duration, "how long"),
            Flag::new("src-tls-verify", Kind::Bool, "require HTTPS"),
            Flag::new("format", Kind::Text, "`TYPE` of the manifest").short('f'),
            Flag::new("authfile", Kind::Text, "path of the file").default_text("/run/auth.json"),
            Flag::new("screds", Kind::Text, "old").deprecated("use --src-creds"),
        ],
        ..command(
            "copy",
            "copy [command options] SOURCE DESTINATION",
            "Copy an image",
        )
    }
}

fn inspect() -> Command {
    Command {
        flags: vec![
            Flag::new("raw", Kind::Bool, "raw output"),
            Flag::new("no-tags", Kind::Bool, "no tags").short('n'),
            Flag::new("verbose", Kind::Bool, "say more").short('v'),
            Flag::new("format", Kind::Text, "a template").short('f'),
            Flag::new(
                "manifest-digest",
                Kind::Named("algorithm"),
                "Algorithm of the digest",
            ),
            Flag::new("tls-verify", Kind::Bool, "require HTTPS"),
        ],
        ..command(
            "inspect",
            "inspect [command options] IMAGE-NAME",
            "Inspect an image",
        )
    }
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Text(text) => json!(text),
        Value::Texts(texts) => json!(texts),
        Value::Int(value) | Value::Duration(value) => json!(value),
        Value::Ints(values) => json!(values),
        Value::Uint(value) => json!(value),
    }
}

fn add_set(values: &Values, flags: &[Flag], prefix: &str, set: &mut Map<String, Json>) {
    let given = flags.iter().filter(|flag| values.is_set(flag.name));
    set.extend(given.map(|flag| {
        let value = values.get(flag.name).expect("it is set");
        (format!("{prefix}{}", flag.name), json_of(value))
    }));
}

/// What the program makes of the arguments, in the form of `go.json`.
fn run(program: &Program, arguments: &[String]) -> Json {
    let mut record = json!({ "args": arguments });
    let mut put = |name: &str, value: Json| {
        if value != json!("") && value != json!([]) && value != json!({}) {
            record[name] = value;
        }
    };
    match program.parse(arguments) {
        Err(error) => put("error", json!(error.to_string())),
        Ok(Request::Version) => put("stdout", json!(program.version_line())),
        Ok(Request::Help(command)) => put("stdout", json!(program.help(command))),
        Ok(Request::HelpOfHelp) => put("stdout", json!(program.help_of_help())),
        Ok(Request::UnknownTopic(words)) => put("stdout", json!(program.unknown_topic(&words))),
        Ok(Request::Run(run)) => {
            let mut set = Map::new();
            add_set(&run.globals, &program.flags, "global.", &mut set);
            add_set(&run.globals, &program.globals, "global.", &mut set);
            if let Some(command) = run.command {
                put("run", json!(command.name));
                add_set(&run.flags, &command.flags, "", &mut set);
            } else {
                let error = program.no_command(&run.arguments);
                put("error", json!(error.to_string()));
            }
            put("rest", json!(run.arguments));
            put("set", Json::Object(set));
            let notices = run
                .flags
                .notices()
                .iter()
                .map(|notice| format!("{notice}\n"));
            put("stdout", json!(notices.collect::<Vec<_>>().concat()));
        }
    }
    record
}

#[test]
fn command_lines_mean_and_fail_as_in_go() {
    let program = program();
    let cases: Vec<Json> = serde_json::from_str(include_str!("tests/go.json")).unwrap();
    assert!(cases.len() >= 100, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let arguments: Vec<String> = serde_json::from_value(case["args"].clone()).unwrap();
        let record = run(&program, &arguments);
        if &record != case {
            wrong.push(format!("is     {record}\nwanted {case}\n"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} wrong",
        wrong.join("\n"),
        wrong.len()
    );
}

#[test]
fn suggestions_begin_alike_or_differ_by_two_letters() {
    let program = program();
    assert_eq!(program.suggestions("inspcet"), ["inspect"]);
    assert_eq!(program.suggestions("S"), ["sync", "standalone-sign"]);
    assert!(program.suggestions("inspector1").is_empty());
    assert!(program.suggestions("layer").is_empty());
}

#[test]
fn flags_that_were_not_given_have_their_defaults() {
    let program = program();
    let arguments = ["copy", "--label", "a", "--all=false"].map(str::to_owned);
    let Request::Run(run) = program.parse(&arguments).unwrap() else {
        panic!("it is to run");
    };
    assert_eq!(run.flags.text("authfile"), "/run/auth.json");
    assert_eq!(run.flags.optional_text("authfile"), None);
    assert_eq!(run.flags.texts("label"), ["a"]);
    assert_eq!(run.flags.optional_bool("all"), Some(false));
    assert_eq!(run.flags.optional_bool("src-tls-verify"), None);
    assert_eq!(run.flags.get("retry-times"), Some(&Value::Int(0)));
    assert_eq!(run.flags.get("nope"), None);
}
