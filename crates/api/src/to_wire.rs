//! From the cluster's types to Marathon's: prints the dialect of 1.5 and later, all defaults filled in.

mod app;
mod deployment;
mod event;
mod own;
mod pod;
mod queue;
mod stats;
mod task;

pub use app::{Embed, app, app_info, app_info_beside, app_map, health_check};
pub use deployment::{deployment, plan};
pub use event::events;
pub use own::{deployment_report, explanation, node};
pub use pod::{pod, pod_instance, pod_status};
pub use queue::queue_item;
pub use stats::task_stats;
pub use task::{counts, instance_id, is_listed, parse_task_id, task, task_failure, task_id, task_state};
