//! Marathon's behaviours, under the names that its own tests give them.
//!
//! Each module inside a file is one of Marathon's suites, each test in it one of the suite's behaviours that make
//! sense without Mesos, shown on Ekiden: over HTTP, in process, on a control plane in memory whose time and agents are
//! moved by hand. Where Ekiden decides otherwise on purpose, the test shows what Ekiden does, and its comment says so.
//! `docs/behaviours.md` lists them all; `document` holds it to what is here.

mod document;
mod tree;
mod world;

mod deploying;
mod groups;
mod members;
mod placing;
mod planning;
mod replacing;
mod running;
mod scaling;
mod units;
mod validating;
mod viewing;
