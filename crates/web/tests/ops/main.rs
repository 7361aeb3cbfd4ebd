//! The operator's pages and API over HTTP.

mod api;
mod events;
mod pages;
mod world;
