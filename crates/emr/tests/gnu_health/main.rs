//! The GNU Health connector against a small double of its JSON-RPC, which answers as GNU Health 5.0.6 on PostgreSQL was seen to
//! answer. The real one: `cargo xtask sim gnu-health`.

#[path = "../openemr/book.rs"]
#[expect(dead_code, reason = "shared with the OpenEMR tests, which use more of it")]
mod book;
mod double;
mod house;
mod push;
