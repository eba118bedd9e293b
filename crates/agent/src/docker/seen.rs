//! What the engine shows of a container, in the agent's words.

use super::spec::{LABEL_AGENT, LABEL_APP, LABEL_CONTAINER, LABEL_INSTANCE, LABEL_NODE, LABEL_POD};
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum, EndpointSettings,
    EventMessage,
};
use cluster::InstanceId;
use cluster::agent::{Container, Exit, Input, Maker, Part, Role};
use std::collections::{BTreeSet, HashMap};

/// What the engine's events told so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Whose processes the kernel ended for want of memory: that is told before the end itself.
    out_of_memory: BTreeSet<InstanceId>,
}

impl Heard {
    /// What an event means to the agent. The end of an app's container is told whole; whatever else happens is a reason
    /// to look, as is the end of one container among a pod's.
    pub(super) fn means(&mut self, event: EventMessage) -> Option<Input> {
        let attributes = event.actor?.attributes?;
        let instance = attributes.get(LABEL_INSTANCE)?.parse().ok()?;
        let code = attributes.get("exitCode").and_then(|it| it.parse().ok());
        match (event.action.as_deref(), code, role(&attributes)) {
            (Some("oom"), _, Role::Sole) => {
                self.out_of_memory.insert(instance);
                None
            }
            (Some("die"), Some(code), Role::Sole) => {
                let out_of_memory = self.out_of_memory.remove(&instance);
                let exit = Exit { code: Some(code), out_of_memory, ..Exit::default() };
                Some(Input::Died { instance, exit })
            }
            (action, ..) => {
                if action == Some("destroy") {
                    self.out_of_memory.remove(&instance);
                }
                Some(Input::Hint { instance })
            }
        }
    }
}

/// A container of the engine's list; nothing if it is not an instance's. How it ended the list does not say.
pub(super) fn listed(container: ContainerSummary) -> Option<(InstanceId, Maker, Part)> {
    let labels = container.labels.as_ref()?;
    let instance = labels.get(LABEL_INSTANCE)?.parse().ok()?;
    let (role, maker) = (role(labels), maker(labels));
    let networks = container.network_settings.and_then(|it| it.networks).unwrap_or_default();
    let container = match container.state? {
        ContainerSummaryStateEnum::CREATED => Container::Created,
        ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::DEAD | ContainerSummaryStateEnum::REMOVING => {
            Container::Exited(Exit::default())
        }
        // Running, or paused, or about to stop: processes are there.
        _ => running(&networks),
    };
    Some((instance, maker, Part { role, container, ended_at: String::new() }))
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

fn maker(labels: &HashMap<String, String>) -> Maker {
    let text = |label| labels.get(label).cloned().unwrap_or_default();
    let agent = labels.get(LABEL_AGENT).and_then(|it| u64::from_str_radix(it, 16).ok());
    Maker { app: text(LABEL_APP), node: text(LABEL_NODE), agent }
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

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::ClusterId;

    fn event(action: &str, more: &[(&str, &str)]) -> EventMessage {
        let instance = InstanceId::derive(ClusterId(1), 1, 1).to_string();
        let attributes = more.iter().copied().chain([(LABEL_INSTANCE, instance.as_str())]);
        serde_json::from_value(serde_json::json!({
            "Action": action,
            "Actor": { "Attributes": attributes.collect::<HashMap<_, _>>() },
        }))
        .unwrap()
    }

    #[test]
    fn an_end_is_told_with_its_code_and_whether_memory_was_wanting() {
        let instance = InstanceId::derive(ClusterId(1), 1, 1);
        let died = |code, out_of_memory| {
            Some(Input::Died { instance, exit: Exit { code: Some(code), out_of_memory, ..Exit::default() } })
        };
        let mut heard = Heard::default();
        assert_eq!(heard.means(event("die", &[("exitCode", "3")])), died(3, false));
        assert_eq!(heard.means(event("oom", &[])), None, "the end follows");
        assert_eq!(heard.means(event("die", &[("exitCode", "137")])), died(137, true));
        assert_eq!(heard.means(event("die", &[("exitCode", "137")])), died(137, false), "it is told of one end");
    }

    #[test]
    fn whatever_else_happens_is_a_reason_to_look() {
        let hint = Some(Input::Hint { instance: InstanceId::derive(ClusterId(1), 1, 1) });
        let mut heard = Heard::default();
        assert_eq!(heard.means(event("destroy", &[])), hint);
        assert_eq!(heard.means(event("die", &[])), hint, "it does not say how");
        for pods in [(LABEL_CONTAINER, "log"), (LABEL_POD, "web,log")] {
            assert_eq!(heard.means(event("die", &[pods, ("exitCode", "3")])), hint, "{pods:?}");
            assert_eq!(heard.means(event("oom", &[pods])), hint, "{pods:?}");
        }
        let strange: EventMessage = serde_json::from_str(r#"{"Action": "die"}"#).unwrap();
        assert_eq!(heard.means(strange), None);
    }
}
