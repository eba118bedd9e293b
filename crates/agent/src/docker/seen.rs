//! What the engine shows of a container, in the agent's words.

use super::LABEL_INSTANCE;
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum, EndpointSettings,
};
use cluster::agent::{Container, Exit, Listed, Listing};
use std::collections::HashMap;

/// A container of the engine's list; nothing if it is not an instance's.
pub(super) fn listed(container: ContainerSummary) -> Option<Listed> {
    let instance = container.labels.as_ref()?.get(LABEL_INSTANCE)?.parse().ok()?;
    let networks = container.network_settings.and_then(|it| it.networks).unwrap_or_default();
    let listing = match container.state? {
        ContainerSummaryStateEnum::CREATED => Listing::Created,
        ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::DEAD | ContainerSummaryStateEnum::REMOVING => {
            Listing::Ended
        }
        // Running, or paused, or about to stop: processes are there.
        _ => Listing::Running { ip: address(&networks) },
    };
    Some(Listed { instance, listing })
}

/// A container that was looked at.
pub(super) fn inspected(container: &ContainerInspectResponse) -> Container {
    let Some(state) = &container.state else { return Container::Created };
    match state.status {
        Some(ContainerStateStatusEnum::CREATED) => Container::Created,
        Some(
            ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD | ContainerStateStatusEnum::REMOVING,
        ) => Container::Exited(Exit {
            code: state.exit_code,
            out_of_memory: state.oom_killed.unwrap_or_default(),
            error: state.error.clone().unwrap_or_default(),
        }),
        _ => {
            let networks = container.network_settings.as_ref().and_then(|it| it.networks.as_ref());
            Container::Running { ip: networks.and_then(address) }
        }
    }
}

fn address(networks: &HashMap<String, EndpointSettings>) -> Option<String> {
    networks.values().find_map(|it| it.ip_address.clone().filter(|it| !it.is_empty()))
}
