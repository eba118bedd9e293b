//! The wires.
//!
//! Users speak HTTP and JSON: Marathon's `/v2`, Ekiden's own `/v3`. Members and agents speak MessagePack in frames.
//! This crate knows both forms and how they map to [`cluster`]'s types; it decides nothing.
//!
//! | read | to learn |
//! |---|---|
//! | [`control`] | what the API may ask of the control plane |
//! | [`routes`] | every route |
//! | [`from_wire`], [`to_wire`] | JSON to the cluster's types and back |
//! | [`v2`], [`v3`] | the JSON types |
//! | [`ui`] | how the web UI's files reach browsers |
//! | [`limits`] | how much of everything a request may bring |
//! | [`server`], `proxy` | how requests arrive, and how a stand-by passes them on |
//! | [`link`] | the wire between the parts |

pub mod causes;
pub mod control;
pub mod routes;

pub mod v2;
pub mod v3;

mod bodies;
mod callbacks;
mod compress;
mod connection;
mod context;
mod dispatch;
pub mod error;
pub mod from_wire;
mod handlers;
mod json;
pub mod limits;
pub mod logging;
mod logs;
mod members;
mod openapi;
pub mod origin;
pub mod panics;
mod printed;
pub mod readers;
mod request;
mod service;
mod stream;
pub mod time;
pub mod to_wire;
mod told;
pub mod ui;
mod words;
mod work;

pub mod link;
pub mod metrics;
mod proxy;
pub mod server;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use context::{Api, Config};
