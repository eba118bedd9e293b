//! One member of the control plane: raft, disk, peers, the leader's loop.

pub mod log;
pub mod machine;
pub mod member;
