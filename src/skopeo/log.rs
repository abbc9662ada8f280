//! Log lines as skopeo writes them to stderr: logrus' text format.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, SystemTime};

use hod_gotemplate::Time;

/// The width to which messages are padded on a terminal, if fields follow.
const MESSAGE_WIDTH: usize = 44;

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Fatal,
    Error,
    Warning,
    Info,
    Debug,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The number of the terminal's colour.
    fn colour(self) -> u8 {
        match self {
            Self::Fatal | Self::Error => 31,
            Self::Warning => 33,
            Self::Info => 36,
            Self::Debug => 37,
        }
    }
}

/// Something that a line says beside its message.
pub(crate) type Field<'a> = (&'a str, String);

/// Writes lines to stderr.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log {
    began: SystemTime,
    is_terminal: bool,
    level_max: Level,
}

impl Log {
    /// A log that begins now; `debug` lines are written only if they are asked for.
    pub(crate) fn new(shows_debug: bool) -> Self {
        Self {
            began: SystemTime::now(),
            is_terminal: std::io::stderr().is_terminal(),
            level_max: if shows_debug {
                Level::Debug
            } else {
                Level::Info
            },
        }
    }

    pub(crate) fn line(&self, level: Level, message: &str, fields: &[Field<'_>]) {
        if level > self.level_max {
            return;
        }
        let now = SystemTime::now();
        let line = if self.is_terminal {
            let age = now.duration_since(self.began).unwrap_or_default();
            on_terminal(level, age, message, fields)
        } else {
            in_file(level, now, message, fields)
        };
        // Where nobody reads the log, nothing can be said about it.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    pub(crate) fn warn(&self, message: &str) {
        self.line(Level::Warning, message, &[]);
    }

    pub(crate) fn info(&self, message: &str, fields: &[Field<'_>]) {
        self.line(Level::Info, message, fields);
    }

    pub(crate) fn error(&self, message: &str) {
        self.line(Level::Error, message, &[]);
    }
}

/// A line with the full time, as programs write it that set logrus so.
pub fn full_timestamp_line(level: Level, is_terminal: bool, message: &str) -> String {
    let time = Time::from(SystemTime::now()).format("2006-01-02 15:04:05");
    if !is_terminal {
        let (level, message) = (level.word(), value_text(message));
        return format!("time=\"{time}\" level={level} msg={message}\n");
    }
    let word: String = level.word().to_uppercase().chars().take(4).collect();
    let (colour, message) = (level.colour(), visible(message.trim_end_matches('\n')));
    format!("\u{1b}[{colour}m{word}\u{1b}[0m[{time}] {message}\n")
}

fn on_terminal(level: Level, age: Duration, message: &str, fields: &[Field<'_>]) -> String {
    let word: String = level.word().to_uppercase().chars().take(4).collect();
    let colour = level.colour();
    let message = message.trim_end_matches('\n');
    let mut line = format!(
        "\u{1b}[{colour}m{word}\u{1b}[0m[{:04}] {}",
        age.as_secs(),
        visible(message)
    );
    if !fields.is_empty() {
        let len = message.chars().count();
        line.extend(std::iter::repeat_n(' ', MESSAGE_WIDTH.saturating_sub(len)));
    }
    for (key, value) in fields {
        let _ = write!(
            line,
            " \u{1b}[{colour}m{key}\u{1b}[0m={}",
            value_text(value)
        );
    }
    line.push('\n');
    line
}

fn in_file(level: Level, now: SystemTime, message: &str, fields: &[Field<'_>]) -> String {
    let mut line = format!(
        "time=\"{}\" level={} msg={}",
        utc(now),
        level.word(),
        value_text(message)
    );
    for (key, value) in fields {
        let _ = write!(line, " {key}={}", value_text(value));
    }
    line.push('\n');
    line
}

/// A value, in quotes if it has anything but plain characters.
fn value_text(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    hod_gotext::quote(value)
}

/// Whether a character would change how others are shown.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A message without what would move the cursor.
fn visible(message: &str) -> String {
    let keep = |c: char| c == '\n' || !(c.is_control() || is_hidden(c));
    message.chars().filter(|c| keep(*c)).collect()
}

/// A time in UTC (RFC 3339), in whole seconds.
fn utc(time: SystemTime) -> String {
    Time::from(time).format("2006-01-02T15:04:05Z07:00")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn lines_are_logrus_lines() {
        let time = UNIX_EPOCH + Duration::from_secs(1_764_420_486);
        assert_eq!(
            in_file(
                Level::Fatal,
                time,
                "no \"x\"\nhere",
                &[("repo", "lab/oci".to_owned()), ("from", "h:5/a".to_owned())]
            ),
            "time=\"2025-11-29T12:48:06Z\" level=fatal msg=\"no \\\"x\\\"\\nhere\" repo=lab/oci \
             from=\"h:5/a\"\n"
        );
        assert_eq!(
            in_file(Level::Warning, UNIX_EPOCH, "w", &[]),
            "time=\"1970-01-01T00:00:00Z\" level=warning msg=w\n"
        );
        assert_eq!(
            on_terminal(Level::Info, Duration::from_secs(3), "m\u{1b}[2J", &[]),
            "\u{1b}[36mINFO\u{1b}[0m[0003] m[2J\n"
        );
    }

    #[test]
    fn leap_days_are_days() {
        for (seconds, text) in [
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(utc(time), text);
        }
    }
}
