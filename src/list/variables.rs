//! Variables of the environment in texts: `$NAME` and `${NAME}`.

/// Replaces variables by their values, or returns the name of one that has none.
///
/// As in Go's `os.ExpandEnv`, a `$` that no name follows stays; what shells know beyond names is
/// not supported.
pub(super) fn expand(
    text: &str,
    variable: fn(&str) -> Option<String>,
) -> Result<String, UnknownVariable> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let unknown = |name: &str| UnknownVariable {
            name: name.to_owned(),
        };
        let (name, end) = if let Some(braced) = after.strip_prefix('{') {
            braced.split_once('}').ok_or_else(|| unknown("{"))?
        } else {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let n = after.find(|c: char| !is_name(c)).unwrap_or(after.len());
            after.split_at(n)
        };
        rest = end;
        if name.is_empty() && !after.starts_with('{') {
            expanded.push('$');
            continue;
        }
        let value = variable(name).ok_or_else(|| unknown(name))?;
        expanded.push_str(&value);
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// A variable that is not set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownVariable {
    pub(super) name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_or_named() {
        fn variable(name: &str) -> Option<String> {
            match name {
                "A" => Some("x".to_owned()),
                "LONG_1" => Some("$A".to_owned()),
                _ => None,
            }
        }
        #[track_caller]
        fn check(text: &str, expect: Result<&str, &str>) {
            let expanded = expand(text, variable).map_err(|unknown| unknown.name);
            let expect = expect.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(expanded, expect, "{text}");
        }
        check("h/$A/${A}b:$LONG_1", Ok("h/x/xb:$A"));
        check("a$", Ok("a$"));
        check("a$-b$$A", Ok("a$-b$x"));
        check("$AB", Err("AB"));
        check("${A", Err("{"));
        check("${}", Err(""));
        check("é$A", Ok("éx"));
    }
}
