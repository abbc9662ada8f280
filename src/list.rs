//! Image lists: what to carry, as text, and where it goes.
