//! The OpenEMR connector against the simulated OpenEMR, over HTTP.

mod book;
mod house;
mod pull;
mod push;
mod storm;
mod tokens;
