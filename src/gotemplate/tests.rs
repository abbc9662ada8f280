//! Tests against the texts of Go, and of limits.

mod go;
mod limits;
