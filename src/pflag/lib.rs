//! Command lines as pflag reads them.
