//! What is put before a container besides its image: volumes and fetched files (`docs/marathon.md`, Volumes).

use super::{AppId, InstanceId, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Volume {
    /// A directory of the node.
    Host(HostVolume),
    /// A directory that Ekiden keeps on the node over the instances' lives.
    Persistent(PersistentVolume),
    /// A volume that a Docker volume driver knows.
    External(ExternalVolume),
}

/// A directory of the node inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostVolume {
    /// Path inside.
    pub container_path: String,
    /// Path on the node; without a leading slash the [`PersistentVolume::container_path`] of one of the same app, which
    /// is to be seen at a second place.
    pub host_path: String,
    /// Whether the container may write.
    pub mode: VolumeMode,
}

/// A directory that Ekiden keeps on the node, and gives to the successor of the instance that had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistentVolume {
    /// Path inside; relative to the sandbox where it has no leading slash.
    pub container_path: String,
    /// Size, MiB: booked on the node's disk, not enforced.
    pub size_mib: u64,
    /// Whether the container may write; Marathon has read and write only.
    pub mode: VolumeMode,
}

/// A volume that a Docker volume driver knows by name, and brings to the node where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalVolume {
    /// Path inside.
    pub container_path: String,
    /// Whether the container may write.
    pub mode: VolumeMode,
    /// The driver's name for it.
    pub name: String,
    /// The driver; Marathon's option `dvdi/driver`.
    pub driver: String,
    /// The other options, for the driver.
    pub options: BTreeMap<String, String>,
    /// Whether several apps, or several instances, may mount it at once.
    pub shared: bool,
}

/// Whether a container may write to a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeMode {
    /// Read and write.
    Rw,
    /// Read only.
    Ro,
}

impl Volume {
    /// Path inside the container.
    pub fn container_path(&self) -> &str {
        match self {
            Self::Host(it) => &it.container_path,
            Self::Persistent(it) => &it.container_path,
            Self::External(it) => &it.container_path,
        }
    }
}

/// A file that is fetched into the sandbox before the container starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Where from: `http`, `https` or `file`.
    pub uri: String,
    /// Unpack it, if its name ends as an archive's does.
    pub extract: bool,
    /// Make it executable.
    pub executable: bool,
    /// Keep it on the node for the next instance.
    pub cache: bool,
    /// Path inside the sandbox; the last part of the URI's path if absent.
    pub dest_path: Option<String>,
}

/// The place that a resident instance has on its node: held while it runs, kept for its successor when it ends.
///
/// Named by the instance that took it first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its name, and a part of its volumes' names.
    pub id: InstanceId,
    /// Whose.
    pub app: AppId,
    /// Where.
    pub node: NodeId,
    /// What its volumes take of the node's disk, bytes.
    pub disk_bytes: u64,
    /// Who has it now; also an ended instance, until its container is confirmed removed.
    pub holder: Option<InstanceId>,
    /// It is to be destroyed, data and all, as soon as nobody has it.
    pub doomed: bool,
    /// Nothing has run with it yet: there is no data, and a failed start takes nothing away with it.
    #[serde(default)]
    pub unused: bool,
}
