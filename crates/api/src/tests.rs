//! Requests and answers, as data, through the whole API over a control plane in memory.

mod apps;
mod bad_input;
mod cluster;
mod deployments;
mod documented;
mod events;
mod pods;
mod round_trip;
mod samples;
mod served;
mod tasks;
mod world;
