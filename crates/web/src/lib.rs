//! Pages for people: plain HTML made on the server, that works without JavaScript.

pub mod layout;
pub mod ops;
mod sse;
pub mod tracker;
pub mod words;
