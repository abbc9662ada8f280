//! The command line of `hod`: flags, printing, exit codes. What it does is in the crates below
//! `src/`, whose map is `src/README.md`.

pub mod cli;
