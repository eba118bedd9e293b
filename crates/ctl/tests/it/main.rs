//! What a user sees of each verb: stdout, stderr and exit code, whole.

mod app;
mod cluster;
mod deployment;
mod events;
mod every_verb;
mod exit_codes;
mod fake;
mod group;
mod pod;
mod queue;
mod task;
