//! An instance's containers, together: looked at, ended and removed. An app has one, a pod one for its network and those
//! that the user named; what they are together [`cluster::agent::fold`] says.
//!
//! Which containers are an instance's, their labels say. They are looked for by the names that they were given, because
//! that is quick; what is not found so is looked for by its labels before it is called gone, and what has the name
//! without the labels is somebody else's.

use super::spec::{LABEL_GRACE, LABEL_INSTANCE, LABEL_RESERVATION, member_name};
use super::{Docker, Error, LIST_DEADLINE, READ_DEADLINE, STOP_MARGIN, WRITE_DEADLINE, inspected};
use bollard::models::ContainerSummary;
use bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptions, ListContainersOptions, RemoveContainerOptions, StopContainerOptions,
};
use cluster::InstanceId;
use cluster::agent::{Container, Done, Part, Role, fold};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// A container of an instance.
pub(super) struct Found {
    /// What the engine calls it now.
    pub(super) name: String,
    /// What is there of it.
    pub(super) part: Part,
    /// From its polite to its hard stop signal, where it has its own, milliseconds.
    grace_ms: Option<u64>,
    /// Its first process, while it runs.
    pid: Option<i32>,
    /// The file that its log driver writes, if that keeps one.
    pub(super) log: Option<PathBuf>,
}

impl Docker {
    /// What is there of an instance.
    pub(crate) async fn inspect(&self, instance: InstanceId) -> Result<Container, Error> {
        let parts: Vec<Part> = self.parts(instance).await?.into_iter().map(|it| it.part).collect();
        Ok(fold(&parts))
    }

    /// The first processes of an instance's containers, by the numbers they have on the engine's machine.
    pub(crate) async fn pids(&self, instance: InstanceId) -> Result<Vec<i32>, Error> {
        Ok(self.parts(instance).await?.into_iter().filter_map(|it| it.pid).collect())
    }

    /// What the engine calls an instance's container, in a pod the one that the user named so.
    pub(super) async fn name_of(&self, instance: InstanceId, container: &str) -> Option<String> {
        let parts = self.parts(instance).await.ok()?;
        let is_it = |it: &Found| match &it.part.role {
            Role::Sole => container.is_empty(),
            Role::Member(name) => name == container,
            Role::Network { .. } => false,
        };
        parts.into_iter().find(is_it).map(|it| it.name)
    }

    /// The container that the engine calls so, if it is this instance's.
    pub(super) async fn found(&self, name: &str, instance: InstanceId) -> Result<Option<Found>, Error> {
        let options = None::<InspectContainerOptions>;
        let seen = match self.call("inspect", READ_DEADLINE, |it| it.inspect_container(name, options)).await {
            Ok(seen) => seen,
            Err(Error::Refused { status: 404, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let labels = seen.config.as_ref().and_then(|it| it.labels.as_ref());
        let is_its = labels.and_then(|it| it.get(LABEL_INSTANCE)).is_some_and(|it| *it == instance.to_string());
        // An engine that does not say how a container is configured says nothing against it.
        if seen.config.is_some() && !is_its {
            return Ok(None);
        }
        let pid = seen.state.as_ref().and_then(|it| i32::try_from(it.pid?).ok()).filter(|it| *it > 0);
        let grace_ms = labels.and_then(|it| it.get(LABEL_GRACE)?.parse().ok());
        let log = seen.log_path.clone().filter(|it| !it.is_empty()).map(PathBuf::from);
        Ok(Some(Found { name: name.to_owned(), part: inspected(&seen), grace_ms, pid, log }))
    }

    /// All containers of an instance.
    pub(super) async fn parts(&self, instance: InstanceId) -> Result<Vec<Found>, Error> {
        if let Some(parts) = self.parts_by_name(instance).await? {
            return Ok(parts);
        }
        let mut parts = Vec::new();
        for container in self.labelled(LABEL_INSTANCE, instance).await? {
            if let Some(id) = container.id {
                parts.extend(self.found(&id, instance).await?);
            }
        }
        // Should there be two in the place of one, the one that runs is it.
        parts.sort_by_key(|it| !matches!(it.part.container, Container::Running { .. }));
        Ok(parts)
    }

    /// All containers of an instance by the names they were given; nothing if one of them is not there under its own.
    async fn parts_by_name(&self, instance: InstanceId) -> Result<Option<Vec<Found>>, Error> {
        let Some(first) = self.found(&instance.to_string(), instance).await? else { return Ok(None) };
        let members = match &first.part.role {
            Role::Network { members } => members.clone(),
            Role::Sole | Role::Member(_) => Vec::new(),
        };
        let mut parts = vec![first];
        for name in members {
            match self.found(&member_name(instance, &name), instance).await? {
                Some(found) => parts.push(found),
                None => return Ok(None),
            }
        }
        Ok(Some(parts))
    }

    /// The containers where a label names this instance.
    async fn labelled(&self, label: &str, instance: InstanceId) -> Result<Vec<ContainerSummary>, Error> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{label}={instance}")])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let mut found = self.call("list", LIST_DEADLINE, |it| it.list_containers(Some(options))).await?;
        let names_it = |it: &ContainerSummary| it.labels.as_ref()?.get(label).map(|it| *it == instance.to_string());
        found.retain(|it| names_it(it) == Some(true));
        Ok(found)
    }

    /// The instances whose containers, running or not, have the volumes of a reservation.
    pub(crate) async fn with_reservation(&self, reservation: InstanceId) -> Result<Vec<String>, Error> {
        let found = self.labelled(LABEL_RESERVATION, reservation).await?;
        Ok(found.into_iter().filter_map(|it| it.labels?.remove(LABEL_INSTANCE)).collect())
    }

    /// Ends an instance: to each container the polite signal, and after its grace period the hard one; a pod's network
    /// ends last.
    pub(crate) async fn stop(&self, instance: InstanceId, grace_ms: u64) -> Done {
        let parts = match self.parts(instance).await {
            Ok(parts) => parts,
            Err(error) => return Done::Unavailable { message: error.to_string() },
        };
        let (members, others): (Vec<Found>, Vec<Found>) =
            parts.into_iter().partition(|it| matches!(it.part.role, Role::Member(_)));
        for group in [members, others] {
            let stops = group.iter().map(|it| self.stop_one(&it.name, it.grace_ms.unwrap_or(grace_ms)));
            for stopped in futures::future::join_all(stops).await {
                if let Err(error) = stopped {
                    return self.refused(instance, error).await;
                }
            }
        }
        self.look(instance).await
    }

    async fn stop_one(&self, name: &str, grace_ms: u64) -> Result<(), Error> {
        let seconds = grace_ms.div_ceil(1000).min(i32::MAX as u64) as i32;
        let deadline = Duration::from_millis(grace_ms) + STOP_MARGIN;
        let options = StopContainerOptions { t: Some(seconds), ..Default::default() };
        match self.call("stop", deadline, |it| it.stop_container(name, Some(options))).await {
            Ok(()) | Err(Error::Refused { status: 304 | 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives the containers of an instance whose end is under way the hard signal. Those that have ended stay as they
    /// are; whether all did, the stop tells.
    pub(crate) async fn kill(&self, instance: InstanceId) -> Result<(), Error> {
        for part in self.parts(instance).await? {
            let options = KillContainerOptions { signal: "SIGKILL".to_owned() };
            match self.call("kill", WRITE_DEADLINE, |it| it.kill_container(&part.name, Some(options))).await {
                Ok(()) | Err(Error::Refused { status: 404 | 409, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes an instance's containers with their anonymous volumes, and its own directories.
    pub(crate) async fn remove(&self, instance: InstanceId) -> Done {
        let mut parts = match self.parts(instance).await {
            Ok(parts) => parts,
            Err(error) => return Done::Unavailable { message: error.to_string() },
        };
        // Whose network the others use goes last.
        parts.sort_by_key(|it| !matches!(it.part.role, Role::Member(_)));
        let is_pod = parts.iter().any(|it| it.part.role != Role::Sole);
        for part in parts {
            if let Err(error) = self.remove_one(&part.name, is_pod).await {
                return self.refused(instance, error).await;
            }
        }
        let dirs = self.inner.place.dirs.clone();
        let removed = self.inner.place.hands.run(move || dirs.remove_sandboxes(instance)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%instance, %error, "cannot remove the instance's directories; trying again later");
        }
        Done::Now(Container::Absent)
    }

    /// Removes a container. What is left of a half-made pod may still run; an app's never does.
    async fn remove_one(&self, name: &str, force: bool) -> Result<(), Error> {
        let options = RemoveContainerOptions { v: true, force, ..Default::default() };
        match self.call("remove", WRITE_DEADLINE, |it| it.remove_container(name, Some(options))).await {
            Ok(()) | Err(Error::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
