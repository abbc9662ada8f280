//! Terminal output for people and scripts.
//!
//! Results go to stdout, everything else to stderr; one object owns stderr, so that lines and bars
//! do not fight. All rendering is pure and takes its settings as values: whether there is colour is
//! decided by who builds the [`Printer`], not by looking at the environment here. Text that came
//! from outside is shown without its control characters, so that no server moves the cursor.

#[cfg(test)]
mod captured;
mod colour;
mod counters;
mod error;
mod printer;
mod progress;
mod repeats;
mod screen;
mod table;
mod text;
mod totals;

pub use colour::{Colour, ColourChoice};
pub use error::render_error;
pub use hod_report::amount::{format_count, format_duration, format_len, format_rate};
pub use printer::{OutputError, Printer, PrinterOptions, ResultFormat, Stdout, Verbosity};
pub use progress::ProgressReporter;
pub use table::{Align, Table};
pub(super) use text::{conceal, concealed, visible_json};
pub use totals::Totals;
