//! An instance's containers, together: looked at, ended and removed. An app has one, a pod one for its network and those
//! that the user named; what they are together [`cluster::agent::fold`] says.

use super::spec::{LABEL_CONTAINER, LABEL_GRACE, LABEL_INSTANCE, LABEL_RESERVATION, member_name};
use super::{Docker, Error, LIST_DEADLINE, READ_DEADLINE, STOP_MARGIN, WRITE_DEADLINE, inspected};
use bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptions, ListContainersOptions, RemoveContainerOptions, StopContainerOptions,
};
use cluster::InstanceId;
use cluster::agent::{Container, Done, Part, Role, fold};
use std::collections::HashMap;
use std::time::Duration;

/// An instance's containers, by their names.
#[derive(Default)]
struct Parts {
    /// The container that has the instance's name; nothing if it is gone.
    main: Option<Part>,
    /// The names of a pod's other containers: those that should be there, or, without the main one, those that are.
    members: Vec<String>,
}

impl Docker {
    /// What is there of an instance.
    pub(crate) async fn inspect(&self, instance: InstanceId) -> Result<Container, Error> {
        let Parts { main, members } = self.parts(instance).await?;
        let mut parts: Vec<Part> = main.into_iter().collect();
        for name in members {
            parts.extend(self.part(&member_name(instance, &name)).await?);
        }
        Ok(fold(&parts))
    }

    /// What is there of one container.
    pub(super) async fn part(&self, name: &str) -> Result<Option<Part>, Error> {
        let options = None::<InspectContainerOptions>;
        match self.call("inspect", READ_DEADLINE, |it| it.inspect_container(name, options)).await {
            Ok(found) => Ok(Some(inspected(&found))),
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn parts(&self, instance: InstanceId) -> Result<Parts, Error> {
        let main = self.part(&instance.to_string()).await?;
        let members = match main.as_ref().map(|it| &it.role) {
            Some(Role::Network { members }) => members.clone(),
            Some(Role::Sole | Role::Member(_)) => Vec::new(),
            // What is left of a pod that lost its first container.
            None => self.labelled(LABEL_INSTANCE, instance, LABEL_CONTAINER).await?,
        };
        Ok(Parts { main, members })
    }

    /// The values that one label has on the containers where another one names this instance.
    async fn labelled(&self, label: &str, instance: InstanceId, wanted: &str) -> Result<Vec<String>, Error> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{label}={instance}")])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let found = self.call("list", LIST_DEADLINE, |it| it.list_containers(Some(options))).await?;
        let labels = found.into_iter().filter_map(|it| it.labels);
        let of_instance = labels.filter(|it| it.get(label).is_some_and(|it| *it == instance.to_string()));
        Ok(of_instance.filter_map(|mut it| it.remove(wanted)).collect())
    }

    /// The instances whose containers, running or not, have the volumes of a reservation.
    pub(crate) async fn with_reservation(&self, reservation: InstanceId) -> Result<Vec<String>, Error> {
        self.labelled(LABEL_RESERVATION, reservation, LABEL_INSTANCE).await
    }

    /// Ends an instance: to each container the polite signal, and after its grace period the hard one; a pod's network
    /// ends last.
    pub(crate) async fn stop(&self, instance: InstanceId, grace_ms: u64) -> Done {
        let parts = match self.parts(instance).await {
            Ok(parts) => parts,
            Err(error) => return Done::Unavailable { message: error.to_string() },
        };
        let members = parts.members.iter().map(|it| self.stop_member(member_name(instance, it), grace_ms));
        for stopped in futures::future::join_all(members).await {
            if let Err(error) = stopped {
                return self.refused(instance, error).await;
            }
        }
        match self.stop_one(&instance.to_string(), grace_ms).await {
            Ok(()) => self.look(instance).await,
            Err(error) => self.refused(instance, error).await,
        }
    }

    /// Ends a container of a pod, which has its own grace period.
    async fn stop_member(&self, name: String, grace_ms: u64) -> Result<(), Error> {
        let options = None::<InspectContainerOptions>;
        let found = match self.call("inspect", READ_DEADLINE, |it| it.inspect_container(&name, options)).await {
            Ok(found) => found,
            Err(Error::Refused { status: 404, .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let labels = found.config.and_then(|it| it.labels).unwrap_or_default();
        let own = labels.get(LABEL_GRACE).and_then(|it| it.parse().ok());
        self.stop_one(&name, own.unwrap_or(grace_ms)).await
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
        let Parts { members, .. } = self.parts(instance).await?;
        let members = members.iter().map(|it| member_name(instance, it));
        for name in members.chain([instance.to_string()]) {
            let options = KillContainerOptions { signal: "SIGKILL".to_owned() };
            match self.call("kill", WRITE_DEADLINE, |it| it.kill_container(&name, Some(options))).await {
                Ok(()) | Err(Error::Refused { status: 404 | 409, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes an instance's containers with their anonymous volumes, and its own directories.
    pub(crate) async fn remove(&self, instance: InstanceId) -> Done {
        let Parts { main, members } = match self.parts(instance).await {
            Ok(parts) => parts,
            Err(error) => return Done::Unavailable { message: error.to_string() },
        };
        let is_pod = !members.is_empty() || main.as_ref().is_some_and(|it| it.role != Role::Sole);
        for name in members.iter().map(|it| member_name(instance, it)).chain(main.map(|_| instance.to_string())) {
            if let Err(error) = self.remove_one(&name, is_pod).await {
                return self.refused(instance, error).await;
            }
        }
        let dirs = self.inner.place.dirs.clone();
        let removed = tokio::task::spawn_blocking(move || dirs.remove_sandboxes(instance)).await;
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
