//! The agent's half: what a scheduler and an agent tell each other, and what an agent decides.
//!
//! A scheduler sends [`Assignment`]s, an agent answers with [`Observation`]s. What an agent does about its
//! assignments is decided by [`plan`], pure; `crates/agent` carries it out.

mod plan;
mod protocol;

pub use plan::*;
pub use protocol::{Assignment, FromAgent, Observation, PROTOCOL, Seen, ToAgent};
