//! One member of the control plane: raft, disk, peers, the leader's loop.

pub mod control;
pub mod leader;
pub mod link;
pub mod log;
pub mod machine;
pub mod member;
pub mod peers;
pub mod replica;
pub mod start;
pub mod state_machine;

pub use control::{Control, Member};
pub use start::{Config, start};

/// Returns an error with all its sources, for a log line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
