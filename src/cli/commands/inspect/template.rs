//! `--format`: a Go template over the JSON document.

use std::collections::BTreeMap;

use hod_gotemplate::{Limits, Report, Type, Value};
use serde::Serialize;

use crate::cli::error::CommandError;

/// The name of templates in errors.
const NAME: &str = "hod inspect";

/// Parses a template, before anything is read.
pub(super) fn parse(template: &str) -> Result<Report, CommandError> {
    let template = if hod_gotemplate::is_json(template) {
        "{{json .}}"
    } else {
        template
    };
    Report::parse(NAME, template, Limits::default()).map_err(|error| unusable(&error))
}

/// Prints a result with a template.
pub(super) fn execute(template: &Report, result: &impl Serialize) -> Result<String, CommandError> {
    let document = serde_json::to_value(result).map_err(|error| unusable(&error))?;
    let printed = template.execute(value_of(document));
    let printed = printed.map_err(|failed| unusable(&failed.error))?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

fn unusable(error: &dyn std::fmt::Display) -> CommandError {
    CommandError::Template {
        problem: error.to_string(),
    }
}

/// What Go makes of JSON, but with whole numbers as such.
fn value_of(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let any = |json| Value::any(value_of(json));
    match json {
        Json::Null => Value::Nil,
        Json::Bool(is_true) => Value::Bool(is_true),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Int64(whole),
            (None, Some(float)) => Value::Float(float),
            (None, None) => Value::Nil,
        },
        Json::String(text) => Value::text(text),
        // Of texts alone, `join` takes them.
        Json::Array(items) if items.iter().all(Json::is_string) && !items.is_empty() => {
            let texts = items.into_iter().filter_map(|item| match item {
                Json::String(text) => Some(text),
                _ => None,
            });
            Value::texts(Some(texts.collect()))
        }
        Json::Array(items) => Value::list(Type::Any, Some(items.into_iter().map(any).collect())),
        Json::Object(fields) => {
            let fields = fields.into_iter().map(|(name, json)| (name, any(json)));
            Value::map(Type::Any, Some(fields.collect::<BTreeMap<_, _>>()))
        }
    }
}
