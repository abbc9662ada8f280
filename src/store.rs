//! The store: distribution's registry v2 tree on disk.
