//! What `weir demo` shows: a made-up population and a start page.

pub(crate) mod campaign;
pub(crate) mod flood;
pub(crate) mod pace;
pub(crate) mod page;
pub(crate) mod population;
