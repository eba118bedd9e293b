//! What the tests share: a cluster to ask, to wait for, and to clean up after.

pub(crate) mod app;
pub(crate) mod cluster;
pub(crate) mod consul;
pub(crate) mod docker;
pub(crate) mod ekiden;
pub(crate) mod http;
pub(crate) mod process;
pub(crate) mod stall;
pub(crate) mod tools;
pub(crate) mod wait;
pub(crate) mod world;

pub(crate) use app::{json_of_demo, web};
pub(crate) use cluster::Cluster;
pub(crate) use consul::Consul;
pub(crate) use ekiden::Dev;
pub(crate) use tools::{Tool, have};
pub(crate) use wait::{eventually, seconds};
