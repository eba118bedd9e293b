//! What the engine shows of a container, in the agent's words.

use super::spec::{LABEL_CONTAINER, LABEL_INSTANCE, LABEL_POD};
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum, EndpointSettings,
};
use cluster::InstanceId;
use cluster::agent::{Container, Exit, Part, Role};
use std::collections::HashMap;

/// A container of the engine's list; nothing if it is not an instance's. How it ended the list does not say.
pub(super) fn listed(container: ContainerSummary) -> Option<(InstanceId, Part)> {
    let labels = container.labels.as_ref()?;
    let instance = labels.get(LABEL_INSTANCE)?.parse().ok()?;
    let role = role(labels);
    let networks = container.network_settings.and_then(|it| it.networks).unwrap_or_default();
    let container = match container.state? {
        ContainerSummaryStateEnum::CREATED => Container::Created,
        ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::DEAD | ContainerSummaryStateEnum::REMOVING => {
            Container::Exited(Exit::default())
        }
        // Running, or paused, or about to stop: processes are there.
        _ => running(&networks),
    };
    Some((instance, Part { role, container, ended_at: String::new() }))
}

/// A container that was looked at.
pub(super) fn inspected(container: &ContainerInspectResponse) -> Part {
    let labels = container.config.as_ref().and_then(|it| it.labels.as_ref());
    let role = labels.map_or(Role::Sole, role);
    let Some(state) = &container.state else {
        return Part { role, container: Container::Created, ended_at: String::new() };
    };
    let (container, ended_at) = match state.status {
        Some(ContainerStateStatusEnum::CREATED) => (Container::Created, String::new()),
        Some(
            ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD | ContainerStateStatusEnum::REMOVING,
        ) => {
            let exit = Exit {
                code: state.exit_code,
                out_of_memory: state.oom_killed.unwrap_or_default(),
                error: state.error.clone().unwrap_or_default(),
                ..Exit::default()
            };
            (Container::Exited(exit), state.finished_at.clone().unwrap_or_default())
        }
        _ => {
            let networks = container.network_settings.as_ref().and_then(|it| it.networks.as_ref());
            (running(networks.unwrap_or(&HashMap::new())), String::new())
        }
    };
    Part { role, container, ended_at }
}

fn role(labels: &HashMap<String, String>) -> Role {
    match (labels.get(LABEL_POD), labels.get(LABEL_CONTAINER)) {
        (Some(members), _) => {
            Role::Network { members: members.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect() }
        }
        (None, Some(name)) => Role::Member(name.clone()),
        (None, None) => Role::Sole,
    }
}

fn running(networks: &HashMap<String, EndpointSettings>) -> Container {
    let first = |address: fn(&EndpointSettings) -> &Option<String>| {
        networks.values().find_map(|it| address(it).clone().filter(|it| !it.is_empty()))
    };
    Container::Running { ip: first(|it| &it.ip_address), ipv6: first(|it| &it.global_ipv6_address) }
}
