//! Colour for labels. Everything reads the same without it.

/// The user's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourChoice {
    /// Colour on a terminal.
    #[default]
    Auto,
    /// No colour anywhere (`NO_COLOR`).
    Never,
}

/// Whether text is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Text as it is.
    Plain,
    /// ANSI escape sequences around labels.
    Ansi,
}

/// The kind of a label, which determines its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Error,
    Warning,
    Advice,
    Aside,
}

impl Colour {
    /// Paints `text` as `label`, or returns it as it is.
    pub(super) fn paint(self, label: Label, text: &str) -> String {
        let code = match (self, label) {
            (Self::Plain, _) => return text.to_owned(),
            (Self::Ansi, Label::Error) => "1;31",
            (Self::Ansi, Label::Warning) => "1;33",
            (Self::Ansi, Label::Advice) => "1;36",
            (Self::Ansi, Label::Aside) => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paints_only_when_asked() {
        assert_eq!(Colour::Plain.paint(Label::Error, "error:"), "error:");
        assert_eq!(
            Colour::Ansi.paint(Label::Error, "error:"),
            "\u{1b}[1;31merror:\u{1b}[0m"
        );
    }
}
