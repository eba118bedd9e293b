//! From the cluster's types to Marathon's: prints the dialect of 1.5 and later, all defaults filled in.

mod app;
mod deployment;
mod event;
mod group;
mod own;
mod piece;
mod pod;
mod queue;
mod readiness;
mod stats;
mod task;

pub use app::{Embed, app, app_info, app_map, artifact, beside, health_check};
pub use deployment::{deployment, plan, steps};
pub use event::events;
pub(crate) use group::{GroupEmbed, Tree};
pub use own::{deployment_report, explanation, locking_deployment, node, orphans};
pub(crate) use piece::{Piece, separated};
pub use pod::{pod, pod_instance, pod_status};
pub use queue::queue_item;
pub use readiness::{readiness_check, readiness_results};
pub use stats::task_stats;
pub use task::{counts, instance_id, is_listed, parse_task_id, task, task_failure, task_id, task_state};
