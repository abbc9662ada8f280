//! Errors as people read them: what happened, why, and what to do.

use std::error::Error;
use std::fmt::Write as _;

use super::colour::{Colour, Label};
use super::text::{Fit, hang, indented, visible, wrap};

/// Maximum width of a hint.
const HINT_WIDTH: usize = 100;

/// Renders an error with its causes and, after a blank line, its hint; no line break at the end.
///
/// A cause that adds nothing (its text is the end of a line above it) is left out.
pub fn render_error(error: &dyn Error, hint: Option<&str>) -> String {
    render(error, hint, Colour::Plain, Fit(None))
}

pub(super) fn render(error: &dyn Error, hint: Option<&str>, colour: Colour, fit: Fit) -> String {
    let what = indented(&visible(&error.to_string()));
    let mut text = colour.paint(Label::Error, "error:");
    text.push(' ');
    text.push_str(&fit.lines(&what, "error: ".len(), 0));
    for cause in causes(error, what) {
        let label = colour.paint(Label::Aside, "caused by:");
        let cause = fit.lines(&cause, "  caused by: ".len(), 4);
        write!(text, "\n  {label} {cause}").expect("a string takes all text");
    }
    if let Some(hint) = hint.filter(|hint| !hint.trim().is_empty()) {
        let indent = "hint: ".len();
        let width = fit.width(HINT_WIDTH) - indent;
        let lines = wrap(&visible(hint), width, width).join("\n");
        let label = colour.paint(Label::Advice, "hint:");
        write!(text, "\n\n{label} {}", hang(&lines, indent)).expect("a string takes all text");
    }
    text
}

/// The texts of the sources of `error` that add something to `what` and to each other.
fn causes(error: &dyn Error, what: String) -> Vec<String> {
    let mut said = vec![what];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = visible(&cause.to_string()).into_owned();
        if !said.iter().any(|said| said.ends_with(&text)) {
            said.push(text);
        }
        source = cause.source();
    }
    said.remove(0);
    said
}

#[cfg(test)]
mod tests {
    use std::io;

    use insta::assert_snapshot;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Failure {
        text: &'static str,
        source: Option<Box<dyn Error>>,
    }

    fn failure(text: &'static str, source: Option<Box<dyn Error>>) -> Failure {
        Failure { text, source }
    }

    #[test]
    fn causes_and_hint() {
        let io = io::Error::from_raw_os_error(18);
        let link = failure(
            "failed to hardlink `/data/ab` to `/mnt/usb/ab`",
            Some(io.into()),
        );
        let error = failure(
            "cannot select 42 images into `/mnt/usb/site-a`",
            Some(link.into()),
        );
        let hint = "Hardlinks stay within one filesystem and `/mnt/usb` is another. Put the output \
                    below `/data`, or pass `--link copy` (needs 18.4 GiB; `/mnt/usb` has 11.0 GiB \
                    free). `/mnt/usb/site-a` was left as it was.";
        assert_snapshot!(render_error(&error, Some(hint)), @r"
        error: cannot select 42 images into `/mnt/usb/site-a`
          caused by: failed to hardlink `/data/ab` to `/mnt/usb/ab`
          caused by: Invalid cross-device link (os error 18)

        hint: Hardlinks stay within one filesystem and `/mnt/usb` is another. Put the output below `/data`,
              or pass `--link copy` (needs 18.4 GiB; `/mnt/usb` has 11.0 GiB free). `/mnt/usb/site-a` was
              left as it was.
        ");
    }

    #[test]
    fn repeated_causes_are_left_out() {
        let refused = failure("connection refused", None);
        let connect = failure("cannot connect: connection refused", Some(refused.into()));
        let again = failure("cannot connect: connection refused", Some(connect.into()));
        let error = failure("GET /v2/ on `localhost:5000`", Some(again.into()));
        assert_snapshot!(render_error(&error, None), @r"
        error: GET /v2/ on `localhost:5000`
          caused by: cannot connect: connection refused
        ");
    }

    #[test]
    fn several_lines_keep_their_shape() {
        let error = failure(
            "image list `a.txt` has 2 invalid lines; nothing was pulled\n  line 17: `X`: bad\n  \
             line 31: `Y`: worse",
            None,
        );
        assert_snapshot!(render_error(&error, Some("Did you mean `x`?\nor `y`?")), @r"
        error: image list `a.txt` has 2 invalid lines; nothing was pulled
          line 17: `X`: bad
          line 31: `Y`: worse

        hint: Did you mean `x`?
              or `y`?
        ");
    }

    #[test]
    fn a_server_cannot_drive_the_terminal() {
        let cause = failure("denied\u{1b}]0;owned\u{7}\nsecond line", None);
        let error = failure("push failed", Some(cause.into()));
        assert_snapshot!(render_error(&error, Some(" ")), @r"
        error: push failed
          caused by: denied\u{1b}]0;owned\u{7}
            second line
        ");
    }

    #[test]
    fn colour_is_on_labels_only() {
        let error = failure("it failed", None);
        let text = render(&error, Some("Try it."), Colour::Ansi, Fit(None));
        assert_eq!(
            text,
            "\u{1b}[1;31merror:\u{1b}[0m it failed\n\n\u{1b}[1;36mhint:\u{1b}[0m Try it."
        );
    }
}
