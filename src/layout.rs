//! The formats of the neighbours: skopeo's `dir:`.
