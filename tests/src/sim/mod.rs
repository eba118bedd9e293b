//! A world of members, agents, engines and users, in which one seed decides everything.
//!
//! | read | to learn |
//! |---|---|
//! | [`world`] | the clock, the queue of what comes next, the end |
//! | [`faults`] | what can go wrong, and how often |
//! | [`network`], [`disk`], [`docker`] | what lies below: simulated |
//! | `seats`, `office`, `sessions`, `nodes`, `errands`, `users` | the shells: the real cores, and what they want done |
//! | `identity` | who nodes and containers are |
//! | [`client`] | what users ask for |
//! | [`trace`] | the story, and its hash |

pub mod client;
pub mod disk;
pub mod docker;
pub mod faults;
pub mod machine;
pub mod network;
pub mod rng;
pub mod trace;
pub mod world;

mod chaos;
mod errands;
mod identity;
mod nodes;
mod office;
mod seats;
mod sessions;
mod users;

/// Where the wall clocks start: far from zero, as they are.
pub const EPOCH: u64 = 1_700_000_000_000;
