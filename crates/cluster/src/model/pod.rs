//! Pods: several containers that live and die together, in one network namespace.

use super::{Fetch, Resources};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What makes an instance a pod: its containers, and what they share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// The containers, in the user's order; at least one.
    pub containers: Vec<PodContainer>,
    /// Directories that they share.
    pub volumes: Vec<PodVolume>,
}

/// One container of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodContainer {
    /// Its name, unique in the pod.
    pub name: String,
    /// Image reference; empty for [`super::Settings::command_image`].
    pub image: String,
    /// Pull before every start, also when the node has the image.
    pub force_pull: bool,
    /// What is run; the image's own if absent.
    pub command: Option<PodCommand>,
    /// What it takes of its node.
    pub resources: Resources,
    /// Environment; wins over the pod's.
    pub env: BTreeMap<String, String>,
    /// The user its process runs as; the pod's if absent.
    pub user: Option<String>,
    /// How many of [`super::RunSpec::ports`] are its endpoints: those behind the ones of the containers before it.
    pub n_endpoints: u32,
    /// Which volumes it sees.
    pub mounts: Vec<Mount>,
    /// Files that are there before its process starts.
    pub fetch: Vec<Fetch>,
    /// Labels of the container.
    pub labels: BTreeMap<String, String>,
    /// From the polite to the hard stop signal; the cluster's default if absent.
    pub kill_grace_ms: Option<u64>,
    /// Whether the process gets a terminal.
    pub tty: bool,
}

/// What a pod's container runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodCommand {
    /// By `/bin/sh -c`, in place of the image's entrypoint.
    Shell(String),
    /// As the image's command; in place of its entrypoint as well where `override_entrypoint` says so.
    Argv {
        /// Program and arguments.
        argv: Vec<String>,
        /// The image's entrypoint is not used.
        override_entrypoint: bool,
    },
}

/// A directory that a pod's containers share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodVolume {
    /// Its name, unique in the pod.
    pub name: String,
    /// The directory of the node; absent for one that lives as long as the instance.
    pub host_path: Option<String>,
}

/// A volume as one container sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The volume's name.
    pub volume: String,
    /// Path inside.
    pub path: String,
    /// Whether the container may only read.
    pub read_only: bool,
}
