//! The one door: every read and write of clinical data goes through [`Engine`] with a [`Session`].

mod api;

pub use api::*;
