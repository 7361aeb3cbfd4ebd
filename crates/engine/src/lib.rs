//! See the crate's section in ARCHITECTURE.md.
