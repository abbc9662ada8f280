//! Instants as Go's `time.Time` prints them.

mod instant;
mod layout;
mod parse;

pub use instant::Time;

use instant::Civil;

impl Time {
    /// Parses RFC 3339 as Go's JSON does; `None` where Go has an error. Zones without an offset are
    /// UTC.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        parse::rfc3339(text)
    }

    /// Prints the time by a layout of Go: an example of how `2006-01-02 15:04:05` would be printed.
    pub fn format(self, layout: &str) -> String {
        layout::format(self, layout)
    }

    /// Prints the time as RFC 3339, with as many digits of a second as are not zero.
    pub fn to_rfc3339(self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }

    /// Prints the expression of Go that makes the time.
    pub(crate) fn go_syntax(self) -> String {
        let day = self.format("2006, time.January, 2");
        let Civil {
            hour,
            minute,
            second,
            ..
        } = self.civil();
        let nanos = self.nanos;
        let zone = match self.offset {
            0 => "time.UTC",
            _ => "time.Location(\"\")",
        };
        format!("time.Date({day}, {hour}, {minute}, {second}, {nanos}, {zone})")
    }
}

impl std::fmt::Display for Time {
    /// Prints the time as Go does.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}
