//! Requests and answers, as data, through the whole API over a control plane in memory.

mod apps;
mod bad_fields;
mod bad_input;
mod cluster;
mod conformance;
mod crowds;
mod deployments;
mod dialects;
mod documented;
mod events;
mod fields;
mod groups;
mod linear;
mod logging;
mod long_lists;
mod pages;
mod pods;
mod raml;
mod round_trip;
mod sample_folder;
mod samples;
mod served;
mod subscriptions;
mod tasks;
mod ui;
mod world;
