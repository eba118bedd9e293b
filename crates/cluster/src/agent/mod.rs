//! The agent's half: what a scheduler and an agent tell each other, and what an agent decides.
//!
//! A scheduler sends [`Assignment`]s, an agent answers with [`Observation`]s. What an agent does about its
//! assignments is decided here, pure: [`Agent`] takes an [`Input`] and the time, and leaves [`Output`]s to perform;
//! [`next`] is the one place that decides about a container. `crates/agent` carries it out on a real Docker engine,
//! the simulator on a made-up one.

mod bounds;
mod dial;
mod effect;
mod engine;
mod health;
mod known;
mod machine;
mod pace;
mod parameters;
mod parts;
mod plan;
mod pod;
mod print;
mod protocol;
mod question;
mod readiness;
mod reporter;
mod volumes;

#[cfg(test)]
mod tests;

pub use bounds::{bound_observations, bound_text};
pub use dial::{Call, Dialer, Ended};
pub use effect::{Done, Get, Input, Keeping, Kept, Listed, Listing, Maker, Note, Output, Probe, Saved, SavedInstance};
pub use health::{Answer, Checks, Outcome};
pub use machine::{Agent, Counts, Settings};
pub use pace::Pace;
pub use parameters::{PARAMETERS, ParameterError, bytes, check_parameter, device, parameter_allowed, publish, ulimit};
pub use parts::Parts;
pub use plan::{Container, Exit, Next, Wanted, end_of, next};
pub use pod::{Part, Role, fold, fold_list};
pub use print::task_id;
pub use protocol::{Assignment, FromAgent, Observation, PROTOCOL, Seen, ToAgent};
pub use question::{LogAnswer, LogFrom, LogLines, LogPlace, LogQuery, LogSkipped, LogSource, LoggedLine, Question};
pub use volumes::{Fate, SANDBOX, dir_name, fate, mount_point};
