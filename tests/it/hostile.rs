//! What others send may be anything: bundles, registries and lists that mean harm.

#![expect(
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::large_stack_arrays,
    reason = "tables of what is hostile are long, and are read line by line"
)]

mod bundles;
mod forged;
mod lists;
mod registries;
