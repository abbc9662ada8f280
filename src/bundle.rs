//! The bundle: what is carried over the air gap (format 1).
