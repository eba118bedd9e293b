//! The whole, as its users meet it: the real program, the real Docker engine, real Consul, Prometheus and the client
//! that Marathon's users have.
//!
//! | read | to learn |
//! |---|---|
//! | [`harness`] | how a test starts a cluster, asks it, waits for it and cleans up after it |
//! | the other modules | what is promised, one part of it each |
//!
//! Each test has a cluster of its own on free ports of the loopback, and removes that cluster's containers. What a
//! machine lacks skips the tests that need it, and says so; with `EKIDEN_E2E=require` it fails them.

mod bad_days;
mod bad_input;
mod clients;
mod containers;
mod demo_path;
mod discovery;
mod events;
mod harness;
mod identity;
mod layers;
mod living;
mod logs;
mod members;
mod residents;
mod restart;
mod rolling;
mod ui;
mod verbs;
