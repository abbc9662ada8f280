//! Parsing a policy: unknown and repeated keys, unknown kinds and wrong scopes are errors.

use std::collections::HashMap;

use super::requirement::Requirement;
use super::{Policy, scope};
use crate::strict_json::{JsonError, Key, array, read_object};

/// Parses the content of a file.
pub(super) fn policy(json: &str) -> Result<Policy, JsonError> {
    let mut default = None;
    let mut transports = HashMap::new();
    read_object(json, |key, value| {
        match key {
            "default" => default = Some(requirements(value)?),
            "transports" => {
                transports = read_map(value, |transport, scopes| {
                    read_map(scopes, |scope, value| {
                        if !scope::is_valid(transport, scope) {
                            return Ok(None);
                        }
                        requirements(value).map(Some)
                    })
                    .map(Some)
                })?;
            }
            _ => return Ok(Key::Unknown),
        }
        Ok(Key::Known)
    })?;
    let default = default.ok_or_else(|| JsonError::new("Default policy is missing"))?;
    Ok(Policy {
        default,
        transports,
    })
}

/// Reads an object with any keys for which `read` returns a value.
fn read_map<T>(
    json: &str,
    mut read: impl FnMut(&str, &str) -> Result<Option<T>, JsonError>,
) -> Result<HashMap<String, T>, JsonError> {
    let mut map = HashMap::new();
    read_object(json, |key, value| {
        let Some(value) = read(key, value)? else {
            return Ok(Key::Unknown);
        };
        map.insert(key.to_owned(), value);
        Ok(Key::Known)
    })?;
    Ok(map)
}

fn requirements(json: &str) -> Result<Vec<Requirement>, JsonError> {
    let all = array(json, Requirement::parse)?.unwrap_or_default();
    if all.is_empty() {
        return Err(JsonError::new(
            "List of verification policy requirements must not be empty",
        ));
    }
    Ok(all)
}
