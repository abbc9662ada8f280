//! Go's `fmt`: what `print`, `println` and `printf` print.

mod directive;
mod integer;
mod padding;
mod printer;

use crate::value::Value;

use padding::Printer;

/// Prints as `fmt.Sprint`: with a space between two values neither of which is a string.
pub(crate) fn sprint(values: &[Value]) -> Vec<u8> {
    let mut printer = Printer::default();
    let mut was_text = false;
    for (at, value) in values.iter().enumerate() {
        let is_text = matches!(value.in_interface(), Value::Text(_));
        if at > 0 && !is_text && !was_text {
            printer.out.push(b' ');
        }
        printer.argument(value.in_interface(), 'v');
        was_text = is_text;
    }
    printer.out
}

/// Prints as `fmt.Sprintln`.
pub(crate) fn sprintln(values: &[Value]) -> Vec<u8> {
    let mut printer = Printer::default();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            printer.out.push(b' ');
        }
        printer.argument(value.in_interface(), 'v');
    }
    printer.out.push(b'\n');
    printer.out
}

/// Prints as `fmt.Sprintf`. What does not fit is in the text, as in Go: `%!d(string=x)`.
pub(crate) fn sprintf(format: &[u8], values: &[Value]) -> Vec<u8> {
    directive::sprintf(format, values)
}
