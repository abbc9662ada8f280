//! The OCI distribution API over a store.
