//! Recognises secrets in texts and masks them.
//!
//! People mistake the content of a file for its name, and write passwords into addresses. The
//! error that follows is shown on screens and kept in the logs of CI systems.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 as people paste it: the padding may be lost.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The replacement of a secret.
const MASK: &str = "***";
/// The length of the shortest minisign key that is recognised, in characters.
const KEY_LEN_MIN: usize = 50;
/// The length of the shortest base64 text that is tried, in characters.
const BASE64_LEN_MIN: usize = 12;
/// Shorter pieces of secrets stay visible: they occur in other words too.
const PIECE_LEN_MIN: usize = 4;
/// Shorter values that were sent are hidden only where they are whole words.
const PART_LEN_MIN: usize = 8;
/// Minimum number of digits by which a digest without an algorithm is distinguished from a host.
const HEX_LEN_MIN: usize = 32;
const LINE_LEN_MIN: usize = 8;
const RUN_LEN_MIN: usize = 12;
/// Prefixes of password hashes in htpasswd files, after `user:`.
const HASHES: [&str; 4] = [":$2", ":$apr1$", ":{SHA}", ":$5$"];
/// Characters that may precede a value in a message.
const QUOTES: [char; 6] = ['`', '\'', '"', '(', '\\', '='];

/// Prefixes that people write before the content of a file: `curl` reads the file after an `@`, and
/// scripts put `./` before a path.
const PREFIXES: [&str; 7] = ["helper:", "file://", "file:", "base64:", "@", "./", "key="];

/// The passwords and tokens that this process has sent or received.
static SENT: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Hides a password or token wherever [`without_sent`] and [`json_without_secrets`] are applied, until
/// the process ends: a server may repeat it in an error.
pub fn hide_sent(secret: &str) {
    if secret.len() < PIECE_LEN_MIN {
        return;
    }
    let is_known = |known: &[String]| known.iter().any(|known| known == secret);
    // Nothing panics while it holds the lock, and a list of texts is never half changed.
    if is_known(&SENT.read().unwrap_or_else(PoisonError::into_inner)) {
        return;
    }
    let mut sent = SENT.write().unwrap_or_else(PoisonError::into_inner);
    if !is_known(&sent) {
        sent.push(secret.to_owned());
        // The longest first, since others may be parts of it.
        sent.sort_by_key(|known| std::cmp::Reverse(known.len()));
    }
}

/// Returns the text without the secrets of [`hide_sent`].
pub fn without_sent(text: &str) -> Cow<'_, str> {
    let sent = SENT.read().unwrap_or_else(PoisonError::into_inner);
    sent.iter().fold(Cow::Borrowed(text), |shown, secret| {
        if shown.contains(secret.as_str()) {
            Cow::Owned(without_value(&shown, secret))
        } else {
            shown
        }
    })
}

fn without_value(text: &str, secret: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric();
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for (at, _) in text.match_indices(secret) {
        let rest = &text[at + secret.len()..];
        let is_part = text[..at].ends_with(is_word) || rest.starts_with(is_word);
        if secret.len() < PART_LEN_MIN && is_part {
            continue;
        }
        shown.push_str(&text[end..at]);
        shown.push_str(MASK);
        end = at + secret.len();
    }
    shown.push_str(&text[end..]);
    shown
}

/// Returns what a text is, where it can only be the content of a file, and not its name.
pub fn content_kind(text: &str) -> Option<&'static str> {
    let text = without_prefixes(text);
    plain_content(text).or_else(|| encoded_content(text))
}

fn plain_content(text: &str) -> Option<&'static str> {
    if text.starts_with("untrusted comment:") || is_key(text) {
        Some("a minisign key")
    } else if text.starts_with("-----BEGIN") {
        Some("PEM")
    } else if text.starts_with('{') {
        Some("JSON")
    } else if text.contains(['\n', '\r']) {
        Some("several lines")
    } else if HASHES.iter().any(|hash| text.contains(hash)) {
        Some("a password hash")
    } else if text.starts_with("eyJ") && text.matches('.').count() >= 2 {
        Some("a token")
    } else {
        None
    }
}

/// Whether a text reads like `user:password`, which a relative path may do as well.
pub fn is_like_login(text: &str) -> bool {
    let text = bare(text).trim_start_matches('@');
    let first = text.split('/').next().unwrap_or_default();
    let login = first.split_once(':');
    login.is_some_and(|(user, password)| !user.is_empty() && !password.is_empty())
}

/// Returns the part of an address after the `?`, if it sets anything, as in `host?token=…`.
fn query(word: &str) -> Option<&str> {
    let (address, query) = word.split_once('?')?;
    (!address.is_empty() && query.contains('=')).then_some(query)
}

/// Returns the password of the address `user:password@host`, perhaps with a scheme before it.
pub fn password(text: &str) -> Option<&str> {
    let (rest, after) = text.rsplit_once('@')?;
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let (_, password) = rest.split_once(':')?;
    (!is_like_digest(after)).then_some(password)
}

/// Returns the line with every login in it replaced by `***`, or `None` when it has none.
///
/// A login is the part before the `@` of `user:password@host/…`; the part before the `@` of a
/// digest is not one.
pub fn without_logins(line: &str) -> Option<String> {
    replace_logins(line, is_login)
}

/// As [`without_logins`], and what may be a secret besides: the query of an address, and a tag before
/// an `@`, which reads like a password. In a message a mask too many does no harm.
pub fn without_likely_logins(text: &str) -> Option<String> {
    let unqueried = without_queries(text);
    let masked = without_passwords(unqueried.as_deref().unwrap_or(text));
    masked.or(unqueried)
}

/// Replaces the queries of addresses by `***`.
fn without_queries(text: &str) -> Option<String> {
    if !text.contains('?') {
        return None;
    }
    let mut found = false;
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let Some(query) = query(word) else {
            return Cow::Borrowed(word);
        };
        found = true;
        let address = &word[..word.len() - query.len()];
        let is_end = |c: char| matches!(c, '`' | '\'' | '"' | ')' | '\\') || c.is_whitespace();
        let rest = &query[query.find(is_end).unwrap_or(query.len())..];
        Cow::Owned(format!("{address}{MASK}{rest}"))
    });
    let masked: String = words.collect();
    found.then_some(masked)
}

fn without_passwords(text: &str) -> Option<String> {
    replace_logins(text, |before, _| {
        // As in `repository[:tag][@digest]`, which messages explain.
        if before.ends_with('[') || is_path(before) {
            return false;
        }
        let login = login_of(before).split_once(':');
        // Neither a directory (`ws/job@2/a.tar`) nor a name without a password is one.
        let has_password = login.is_some_and(|(user, _)| {
            !user.is_empty() && !user.trim_start_matches("//").contains('/')
        });
        has_password || before.contains("://")
    })
}

fn replace_logins(line: &str, is_login: impl Fn(&str, &str) -> bool) -> Option<String> {
    if !line.contains('@') {
        return None;
    }
    let mut found = false;
    let words = line.split_inclusive(char::is_whitespace).map(|word| {
        let (rest, digest) = match word.rsplit_once('@') {
            Some((rest, after)) if is_like_digest(after) => (rest, &word[rest.len()..]),
            _ => (word, ""),
        };
        match rest.rsplit_once('@') {
            Some((before, after)) if is_login(before, after) => {
                found = true;
                let shown = before.len() - login_of(before).len();
                format!("{}{MASK}@{after}{digest}", &before[..shown])
            }
            _ => word.to_owned(),
        }
    });
    let masked: String = words.collect();
    found.then_some(masked)
}

/// Returns JSON without the secrets of [`hide_sent`], logins and queries in the values of its
/// strings; it stays JSON.
pub fn json_without_secrets(json: &str) -> Option<String> {
    let (mut shown, mut found) = (String::new(), false);
    let mut rest = json;
    // Outside of strings there are no quotes, and within strings they are escaped.
    while let Some(start) = rest.find('"') {
        let (before, after) = rest.split_at(start + 1);
        let mut is_escaped = false;
        let end = after.find(|c| {
            let is_end = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        });
        let (string, after) = after.split_at(end.unwrap_or(after.len()));
        // A key is hod's own word, even where a password is the same.
        let masked = if after.starts_with("\":") {
            without_likely_logins(string)
        } else {
            masked(string)
        };
        found |= masked.is_some();
        shown.push_str(before);
        shown.push_str(masked.as_deref().unwrap_or(string));
        let n_quotes = after.len().min(1);
        shown.push_str(&after[..n_quotes]);
        rest = &after[n_quotes..];
    }
    shown.push_str(rest);
    found.then_some(shown)
}

/// The inside of a string of JSON without secrets, if it has any.
fn masked(string: &str) -> Option<String> {
    let text = serde_json::from_str::<String>(&format!("\"{string}\"")).ok();
    let hidden = text.as_deref().map(without_sent);
    let hidden = match &hidden {
        Some(Cow::Owned(hidden)) => serde_json::to_string(hidden).ok(),
        _ => None,
    };
    let inside = hidden.as_deref().map(|json| &json[1..json.len() - 1]);
    let masked = without_likely_logins(inside.unwrap_or(string));
    masked.or(inside.map(str::to_owned))
}

/// Secrets that must not be shown.
#[derive(Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Adds the secret parts of `text`, if it can only be the content of a file or has a password.
    pub fn add(&mut self, text: &str) {
        if content_kind(text).is_some() {
            self.add_pieces(text);
        } else if let Some(password) = password(text) {
            self.add_password(password);
        } else if let Some(query) = query(text) {
            self.add_piece(query, PIECE_LEN_MIN);
        }
    }

    /// Adds a login, `user:password`, or a password.
    pub fn add_login(&mut self, login: &str) {
        self.add_pieces(login);
        if let Some((_, password)) = login.split_once(':') {
            self.add_password(password);
        }
    }

    /// Adds a password, and its parts that appear separately if it is parsed as an address.
    fn add_password(&mut self, password: &str) {
        self.add_piece(password, PIECE_LEN_MIN);
        for piece in password.split(['@', '/', ':']) {
            self.add_piece(piece, PIECE_LEN_MIN);
        }
    }

    /// Adds the whole, and the parts of it that a message may quote.
    fn add_pieces(&mut self, text: &str) {
        self.add_piece(text.trim(), 1);
        self.add_piece(bare(text), PIECE_LEN_MIN);
        for line in text.lines() {
            self.add_piece(line.trim(), LINE_LEN_MIN);
        }
        for run in text.split(|c| !is_base64(c)) {
            self.add_piece(run, RUN_LEN_MIN);
            // A path is quoted in messages in parts.
            for part in run.split('/') {
                self.add_piece(part, RUN_LEN_MIN);
            }
        }
    }

    fn add_piece(&mut self, piece: &str, len_min: usize) {
        if piece.len() >= len_min && !self.0.iter().any(|known| known == piece) {
            self.0.push(piece.to_owned());
            // The longest first, since others may be parts of it.
            self.0.sort_by_key(|known| std::cmp::Reverse(known.len()));
        }
    }

    /// A text without these secrets.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.iter().fold(Cow::Borrowed(text), |shown, secret| {
            if !shown.contains(secret.as_str()) {
                shown
            } else if secret.len() < PIECE_LEN_MIN {
                Cow::Owned(without_quoted(&shown, secret))
            } else {
                Cow::Owned(shown.replace(secret.as_str(), MASK))
            }
        })
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// A text without a secret that is so short that it may be part of any word: only where it is quoted,
/// as what a flag was given, is it the secret.
fn without_quoted(text: &str, secret: &str) -> String {
    ["'", "`"].iter().fold(text.to_owned(), |shown, quote| {
        shown
            .replace(
                &format!("{quote}{secret}{quote}"),
                &format!("{quote}{MASK}{quote}"),
            )
            .replace(&format!("={secret}{quote}"), &format!("={MASK}{quote}"))
    })
}

/// A value without what people leave around it.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix("helper:").unwrap_or(text);
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
}

/// A value without what people write before the content of a file.
fn without_prefixes(text: &str) -> &str {
    let mut text = bare(text);
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = bare(rest);
    }
    text
}

/// Whether a text is base64 that begins as keys of minisign do.
fn is_key(text: &str) -> bool {
    text.starts_with("RW") && text.len() >= KEY_LEN_MIN && text.chars().all(is_base64)
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
}

/// Returns what a text in base64 holds: the `auth` of a file of logins, or a file that was encoded
/// to fit into a variable of a CI system.
fn encoded_content(text: &str) -> Option<&'static str> {
    if text.len() < BASE64_LEN_MIN || !text.chars().all(is_base64) {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
    if decoded.contains(|c: char| c.is_control() && !c.is_ascii_whitespace()) {
        return None;
    }
    match plain_content(decoded.trim()) {
        Some("several lines") => None,
        Some(_) => Some("a secret in base64"),
        None => is_like_login(&decoded).then_some("a login in base64"),
    }
}

/// The login in `https://user:password`, also after a quote.
fn login_of(before: &str) -> &str {
    match before.split_once("://") {
        Some((_, login)) => login,
        None => before.trim_start_matches(QUOTES),
    }
}

/// Whether a text can only be a path.
fn is_path(text: &str) -> bool {
    let text = text.trim_start_matches(QUOTES);
    let is_absolute = text.starts_with('/') && !text.starts_with("//");
    (is_absolute || text.starts_with("./") || text.starts_with("../")) && !text.contains("://")
}

fn is_like_digest(text: &str) -> bool {
    let text = text.trim_end();
    match text.split_once(':') {
        Some((algorithm, _)) => {
            matches!(algorithm.to_ascii_lowercase().as_str(), "sha256" | "sha512")
        }
        None => text.len() >= HEX_LEN_MIN && text.bytes().all(|b| b.is_ascii_hexdigit()),
    }
}

fn is_login(before: &str, after: &str) -> bool {
    let host = after.split('/').next().unwrap_or_default();
    let is_host = after.contains('/') || host.contains('.') || host.starts_with("localhost");
    !login_of(before).is_empty() && is_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_replaced_and_digests_are_not() {
        #[track_caller]
        fn check(line: &str, expect: Option<&str>) {
            assert_eq!(without_logins(line).as_deref(), expect, "{line}");
        }
        let digest = format!("sha256:{}", "a".repeat(64));
        check("admin:pw@host/app:1", Some("***@host/app:1"));
        check("https://admin:pw@host/app", Some("https://***@host/app"));
        check("a:1 u:p@h.io/x # y", Some("a:1 ***@h.io/x # y"));
        check("admin:p@s/s@host/app:1", Some("***@host/app:1"));
        check("token@ghcr.io/a/b", Some("***@ghcr.io/a/b"));
        check("u:p@harbor.corp", Some("***@harbor.corp"));
        check(
            &format!("u:p@h/x@{digest}\tplatform=all"),
            Some(&format!("***@h/x@{digest}\tplatform=all")),
        );
        check(&format!("nginx:1.27@{digest}"), None);
        check(&format!("nginx@{}", "a".repeat(64)), None);
        check("nginx@sha256:3f4a", None);
        check("nginx@latest", None);
        check("app@sha256:../../etc/passwd", None);
        check("a:1 b@c", None);
        check("@host/app", None);
        check("nginx:1.27@3f4a", None);
    }

    #[test]
    fn what_was_sent_is_hidden() {
        for secret in ["k7q", "k7qX", "k7qX/long\"er", "5550001"] {
            hide_sent(secret);
        }
        for (text, expect) in [
            ("k7q is too short", "k7q is too short"),
            ("wrong: k7qX.", "wrong: ***."),
            ("ak7qX k7qXb k7qX", "ak7qX k7qXb ***"),
            ("bk7qX/long\"erb", "b***b"),
        ] {
            assert_eq!(without_sent(text), expect);
        }
        let json = r#"{"k7qX":"k7qX","n":5550001,"a":"\"k7qX/long\"er"}"#;
        let expect = r#"{"k7qX":"***","n":5550001,"a":"\"***"}"#;
        assert_eq!(json_without_secrets(json).as_deref(), Some(expect));
    }

    #[test]
    fn messages_hide_likely_logins_too() {
        #[track_caller]
        fn check(text: &str, expect: Option<&str>) {
            assert_eq!(without_likely_logins(text).as_deref(), expect, "{text}");
        }
        // As Jenkins names a second workspace, and other names of files.
        for path in [
            "ws/job@2/acme.tar",
            "/home/ci/job@2/a.tar",
            "me@work.tar",
            "ws/a:b@c.tar",
        ] {
            check(path, None);
            check(&format!("`{path}` not found"), None);
        }
        check("target `u:p@host` is not", Some("target `***@host` is not"));
        check("`https://token@host`", Some("`https://***@host`"));
        check("'u:p'w@host'", Some("'***@host'"));
        check("nginx:1.27@latest", Some("***@latest"));
        let digest = format!("sha256:{}", "a".repeat(64));
        check(&format!("`nginx:1.27@{digest}`: no"), None);
        check("nginx@latest", None);
        check("a:1 b@c", None);
        check("u:p@", Some("***@"));
        check("u:p@cafe", Some("***@cafe"));
        check("`//u:p@host/a`", Some("`***@host/a`"));
        check("/mnt/https://u:p@host/a", Some("/mnt/https://***@host/a"));
        check("`h.io?token=pw`: no", Some("`h.io?***`: no"));
        check("'https://h/a?x=1&y=2'", Some("'https://h/a?***'"));
        check("u:p@h.io/a?b=c d", Some("***@h.io/a?*** d"));
        check("what is it? a=b", None);
        check("`a?b`", None);
        check("/mnt/usb:1/a@b/store", None);
        check("`../usb:1/a@b.d/store`", None);
        check("./usb:1/a@b/store", None);
    }

    #[test]
    fn json_stays_json() {
        let value = serde_json::json!({
            "a": "target `u:p@host/x` is \"not\"",
            "b": ["https://u:p@host", "\\", "u:p\"q@host.io\n", "plain"],
            "u:p@host": 1,
            "c": "/mnt/usb:1/a@b/store",
        });
        let masked = json_without_secrets(&value.to_string()).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&masked).unwrap();
        assert_eq!(parsed["a"], "target `***@host/x` is \"not\"");
        assert_eq!(parsed["b"][0], "https://***@host");
        assert_eq!(parsed["c"], "/mnt/usb:1/a@b/store");
        assert!(!masked.contains("u:p"), "{masked}");
        assert_eq!(json_without_secrets("{\"a\": \"b@c\"}"), None);
    }

    #[test]
    fn contents_are_told_from_paths() {
        let key = "RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";
        let encoded = BASE64.encode(format!("{key}\n"));
        let table: [(&str, Option<&str>); 29] = [
            ("/etc/hod/site.key", None),
            ("RW.key", None),
            ("keys/RW/site key", None),
            ("a:b{c", None),
            ("bundles/2026-07-31.tar", None),
            ("storestorestore1", None),
            (
                "untrusted comment: minisign secret key RWQAAEIy",
                Some("a minisign key"),
            ),
            (key, Some("a minisign key")),
            (&format!("{key}\n"), Some("a minisign key")),
            (&format!("\"{key}\""), Some("a minisign key")),
            (&format!("helper:'{key}'"), Some("a minisign key")),
            (" {\"auths\":{}}", Some("JSON")),
            ("'{\"auths\":{}}'", Some("JSON")),
            ("-----BEGIN CERTIFICATE-----\nMIIB", Some("PEM")),
            ("robot\nsecret", Some("several lines")),
            ("alice:$2y$05$ab/cd", Some("a password hash")),
            ("YWxpY2U6c2VjcmV0", Some("a login in base64")),
            (&format!("@{key}"), Some("a minisign key")),
            (&format!("./{key}"), Some("a minisign key")),
            (&format!("@./{key}"), Some("a minisign key")),
            (&BASE64.encode(key), Some("a secret in base64")),
            (encoded.trim_end_matches('='), Some("a secret in base64")),
            (
                &BASE64.encode("{\"auths\": {}}"),
                Some("a secret in base64"),
            ),
            ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIi.c2ln", Some("a token")),
            ("@keys/site.key", None),
            ("./site.key", None),
            ("@gone", None),
            ("eyJ.txt", None),
            ("", None),
        ];
        for (text, expect) in table {
            assert_eq!(content_kind(text), expect, "{text}");
        }
    }

    #[test]
    fn logins_are_told_from_paths() {
        for (text, expect) in [
            ("u:p", true),
            ("\"u:p\"", true),
            ("u:p/w", true),
            ("@u:p", true),
            ("./u:p", false),
            ("dir/a:b", false),
            ("/a:b", false),
            (":b", false),
            ("a:", false),
            ("a", false),
        ] {
            assert_eq!(is_like_login(text), expect, "{text}");
        }
    }

    #[test]
    fn secrets_are_hidden_whole_and_in_part() {
        let mut secrets = Secrets::default();
        secrets.add("nginx:1.27@sha256:3f4a");
        secrets.add("store");
        assert_eq!(secrets.hide("store nginx:1.27"), "store nginx:1.27");
        secrets.add("https://robot:geheim@host");
        secrets.add("robot\nsecond-line");
        secrets.add_login("alice:wonder");
        for (text, expect) in [
            ("port `geheim`", "port `***`"),
            ("robot", "robot"),
            ("line `second-line`", "line `***`"),
            ("robot\nsecond-line", "***"),
            ("`alice:wonder`, `wonder`", "`***`, `***`"),
        ] {
            assert_eq!(secrets.hide(text), expect);
        }
    }

    #[test]
    fn short_secrets_are_hidden_only_where_they_were_given() {
        let mut secrets = Secrets::default();
        secrets.add_login("a");
        secrets.add_login("u:p");
        for (text, expect) in [
            (
                "an argument 'a' of a command",
                "an argument '***' of a command",
            ),
            ("`--creds=a`", "`--creds=***`"),
            ("'u:p' of menu:page", "'***' of menu:page"),
            ("{\"name\":\"a\"}", "{\"name\":\"a\"}"),
        ] {
            assert_eq!(secrets.hide(text), expect);
        }
    }
}
