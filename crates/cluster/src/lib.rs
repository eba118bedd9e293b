//! All decisions of Ekiden, pure.
//!
//! The cluster is a function: what is *wanted* (apps) and what is *seen* (reports of agents) go in as
//! [`Command`]s, [`State::apply`] moves the cluster one log entry forward, and [`plan()`] compares wanted with seen
//! and says what to do next. Nothing in here performs an effect, reads a clock, draws a random number or iterates in
//! an order that two members could disagree on; `clippy.toml` beside this crate and the workspace's tidy test hold
//! that.
//!
//! | read | to learn |
//! |---|---|
//! | [`model`] | the nouns: app, instance, node, deployment, constraint, health check |
//! | [`command`], [`event`] | what can be asked, what can happen |
//! | [`mod@apply`] | how an entry changes the state |
//! | [`mod@plan`], [`rollout`], [`place`] | what to launch, what to stop, and where |
//! | [`pattern`] | what LIKE and UNLIKE may say |
//! | [`explain`] | why something waits |
//! | [`agent`] | the agent's half: assignments to container operations |
//! | [`catalog`] | instances to Consul services |

pub mod model;

pub mod command;
pub mod event;

pub mod apply;
pub mod state;

pub mod alarms;
pub mod capacity;
pub mod claims;
pub mod explain;
mod external;
pub mod layers;
pub mod liveness;
mod older;
pub mod pattern;
pub mod place;
pub mod plan;
pub mod rollout;
mod roster;
mod services;
mod work;

pub mod agent;
pub mod catalog;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use command::{Applied, Command, Entry, Expect, Principal, Rejected, Scaling, SharedService, Step};
pub use event::Event;
pub use model::*;
pub use plan::{Agenda, Plan, plan};
pub use state::{LEAVE_AFTER_LABEL, MIN_LIVE_LABEL, State};
