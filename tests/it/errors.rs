//! Every error as a person reads it, and as scripts see it: a table for each enum, with an instance
//! of each variant, its class and its exit code. The prose is in one snapshot a table.

mod bundles;
mod formats;
mod store;
mod transfer;
mod verbs;

use std::fmt::Write as _;
use std::path::PathBuf;

use hod::cli::Exit;
use hod::cli::ui::render_error;
use hod_oci::Digest;
use hod_report::{Diagnose, ErrorClass};

/// The rendered table of an error.
///
/// Each variant has one row: a variant without one does not compile. More instances of variants
/// follow `more`; variants follow `without` that are shown elsewhere.
macro_rules! table {
    (
        $Error:ident {
            $($Variant:ident $({ $($field:tt)* })? $(($value:expr))? => $class:ident $code:literal,)+
        }
        $(more { $($more:expr => $more_class:ident $more_code:literal,)+ })?
        $(without { $($Without:ident),+ })?
    ) => {{
        let _is_complete = |error: &$Error| match error {
            $($Error::$Variant { .. } => {})+
            $($($Error::$Without { .. } => {})+)?
        };
        $crate::errors::render(vec![
            $((
                $Error::$Variant $({ $($field)* })? $(($value))?,
                hod_report::ErrorClass::$class,
                $code,
            ),)+
            $($(($more, hod_report::ErrorClass::$more_class, $more_code),)+)?
        ])
    }};
}
pub(crate) use table;

fn digest() -> Digest {
    Digest::of(b"")
}

fn other() -> Digest {
    Digest::of(b"x")
}

fn path() -> PathBuf {
    PathBuf::from("/data/store")
}

fn absent_file() -> hod_fsx::Error {
    hod_fsx::open(&PathBuf::from("/nonexistent/file")).unwrap_err()
}

/// Checks classes and exit codes, and renders each error, with its hint, under its variant's name.
#[track_caller]
fn render<E: Diagnose>(rows: Vec<(E, ErrorClass, u8)>) -> String {
    let (mut text, mut wrong) = (String::new(), String::new());
    for (row, (error, class, code)) in rows.into_iter().enumerate() {
        let name = format!("{error:?}");
        let name = name.split([' ', '(', '{']).next().unwrap_or_default();
        let diagnosis = error.diagnose();
        let found = (diagnosis.class, Exit::of(&diagnosis).code());
        if found != (class, code) {
            writeln!(wrong, "row {row}, {name}: {found:?}, not {class:?} {code}").unwrap();
        }
        if let Some(hint) = &diagnosis.hint {
            let is_sentence =
                hint.starts_with(|c: char| !c.is_lowercase()) && hint.ends_with(['.', '?']);
            let is_command = hint.starts_with("copy, push, ");
            assert!(is_sentence || is_command, "{name}: {hint}");
        }
        let rendered = render_error(&error, diagnosis.hint.as_deref());
        writeln!(text, "## {name}\n{rendered}\n").unwrap();
    }
    assert_eq!(wrong, "", "\n{wrong}");
    text
}
