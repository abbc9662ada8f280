//! Quotes of texts and characters as Go's `strconv` and `time` have them, and how they are read.
//!
//! Pure: everything that imitates a program in Go prints and reads its quotes here.

mod quote;

pub use quote::{
    Charset, Unquoted, can_backquote, character, chars, count, is_print, quote, quote_char,
    quote_time, quoted, unquote, unquote_one,
};
