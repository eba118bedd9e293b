//! One member of the control plane: raft, disk, peers, the leader's office, the agents' sessions.
//!
//! ```text
//!   api ──▶ control ──submit, read──▶ replica ──▶ member ──▶ machine (cluster::State)
//!              │                      (thread)   (raft-rs)
//!              ▼                        │   │
//!  leader, sessions (pure), hub      log   peers
//! ```
//!
//! | read | to learn |
//! |---|---|
//! | [`machine`], [`state_machine`] | what is replicated, and in which envelope |
//! | [`member`] | one raft member without disk, network or clock: inputs in, effects out |
//! | [`log`] | what survives a power cut: segments, snapshots, recovery, and the simulator's disk |
//! | [`peers`] | how members talk |
//! | [`replica`] | the thread that joins those three, and the handle that all others hold |
//! | [`leader`], [`control`] | what a leader does besides answering |
//! | [`sessions`] | who of the agents is taken in, and what each is told |
//! | [`hub`] | how a member serves agents |
//! | [`mod@start`] | how a member is put together |
//!
//! Nobody outside knows how the log is replicated: `raft` is named in this crate only.

pub mod control;
pub mod hub;
pub mod leader;
pub mod log;
pub mod machine;
pub mod member;
pub mod peers;
pub mod replica;
pub mod sessions;
pub mod start;
pub mod state_machine;

pub use cluster::{PortRange, Settings};
pub use control::{Control, Member};
pub use start::{Config, start};
