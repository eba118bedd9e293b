//! Several containers of one instance as the one that the rest of the agent knows.
//!
//! | the pod's containers | the instance |
//! |---|---|
//! | none is there | absent |
//! | one has ended, or the network container is gone | exited, as the first that ended; the others are to end |
//! | all run | running |
//! | anything else: some are not made or not started | created |

use super::{Container, Exit, Listed, Listing, Maker};
use crate::model::InstanceId;
use std::collections::BTreeMap;

/// One container of an instance, by its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which one.
    pub role: Role,
    /// What is there of it. How it ended need not be known.
    pub container: Container,
    /// When it ended, as Docker tells it (RFC 3339, UTC); empty if it did not, or that is not known.
    pub ended_at: String,
}

/// Which container of an instance it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// An app's only one.
    Sole,
    /// The one whose network the others of a pod share.
    Network {
        /// The others' names, in the user's order.
        members: Vec<String>,
    },
    /// One that the user named.
    Member(String),
}

/// All containers of one instance as one.
pub fn fold(parts: &[Part]) -> Container {
    if let Some(sole) = parts.iter().find(|it| it.role == Role::Sole) {
        return sole.container.clone();
    }
    if parts.iter().all(|it| it.container == Container::Absent) {
        return Container::Absent;
    }
    let mut network = &Container::Absent;
    let mut expected: &[String] = &[];
    let mut members: Vec<(&str, &Part)> = Vec::new();
    for part in parts {
        match &part.role {
            Role::Sole => {}
            Role::Network { members } => (network, expected) = (&part.container, members),
            Role::Member(name) => members.push((name, part)),
        }
    }
    let is_running = |it: &Container| matches!(it, Container::Running { .. });
    let rest = parts.iter().any(|it| is_running(&it.container));
    let mut ended: Vec<_> = members.iter().filter(|it| matches!(it.1.container, Container::Exited(_))).collect();
    ended.sort_by_key(|it| moment(&it.1.ended_at));
    if let Some((name, part)) = ended.first()
        && let Container::Exited(exit) = &part.container
    {
        return Container::Exited(Exit { container: (*name).to_owned(), rest, ..exit.clone() });
    }
    match network {
        Container::Exited(exit) => {
            let error = "the container that holds the pod's network ended".to_owned();
            Container::Exited(Exit { error, rest, ..exit.clone() })
        }
        Container::Absent if rest => {
            let error = "the container that holds the pod's network is gone".to_owned();
            Container::Exited(Exit { error, rest, ..Exit::default() })
        }
        Container::Running { .. }
            if expected
                .iter()
                .all(|it| members.iter().any(|(name, part)| name == it && is_running(&part.container))) =>
        {
            network.clone()
        }
        _ => Container::Created,
    }
}

/// The engine's list, one entry for each instance.
pub fn fold_list(parts: Vec<(InstanceId, Maker, Part)>) -> Vec<Listed> {
    let mut instances: BTreeMap<InstanceId, (Maker, Vec<Part>)> = BTreeMap::new();
    for (instance, maker, part) in parts {
        instances.entry(instance).or_insert_with(|| (maker, Vec::new())).1.push(part);
    }
    let listed = |(instance, (maker, parts)): (InstanceId, (Maker, Vec<Part>))| {
        let listing = match fold(&parts) {
            Container::Absent => return None,
            Container::Created => Listing::Created,
            Container::Running { ip, ipv6 } => Listing::Running { ip, ipv6 },
            Container::Exited(_) => Listing::Ended,
        };
        Some(Listed { instance, listing, maker })
    };
    instances.into_iter().filter_map(listed).collect()
}

/// A moment as something that sorts: Docker leaves zeros at the end of the fraction out. An unknown one is the last.
fn moment(text: &str) -> (bool, &str, u64) {
    let text = text.trim_end_matches('Z');
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let padded: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    (text.is_empty(), seconds, padded.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClusterId;

    fn running(ip: &str) -> Container {
        Container::Running { ip: Some(ip.to_owned()).filter(|it| !it.is_empty()), ipv6: None }
    }

    fn exited(code: i64) -> Container {
        Container::Exited(Exit { code: Some(code), ..Exit::default() })
    }

    fn network(container: Container) -> Part {
        let role = Role::Network { members: vec!["web".into(), "log".into()] };
        Part { role, container, ended_at: String::new() }
    }

    fn member(name: &str, container: Container) -> Part {
        Part { role: Role::Member(name.into()), container, ended_at: String::new() }
    }

    #[test]
    fn a_pod_runs_when_all_run_and_ends_when_one_does() {
        use Container::{Absent, Created};
        let ended = |container: &str, code: Option<i64>, error: &str, rest: bool| {
            let (container, error) = (container.to_owned(), error.to_owned());
            Container::Exited(Exit { code, error, container, rest, ..Exit::default() })
        };
        let up = || running("172.17.0.2");
        let no_network = "the container that holds the pod's network is gone";
        let dead_network = "the container that holds the pod's network ended";
        for (what, parts, expect) in [
            ("nothing", vec![], Absent),
            ("all of it gone", vec![network(Absent), member("web", Absent)], Absent),
            ("an app", vec![Part { role: Role::Sole, ..network(exited(3)) }], exited(3)),
            ("all run", vec![network(up()), member("log", running("")), member("web", running(""))], up()),
            ("half made", vec![network(Created)], Created),
            ("one is not made", vec![network(up()), member("web", running(""))], Created),
            ("one is not started", vec![network(up()), member("web", running("")), member("log", Created)], Created),
            ("only a member is left", vec![member("web", Created)], Created),
            (
                "one ended",
                vec![network(up()), member("web", running("")), member("log", exited(3))],
                ended("log", Some(3), "", true),
            ),
            (
                "one ended before the other was started",
                vec![network(up()), member("web", exited(1)), member("log", Created)],
                ended("web", Some(1), "", true),
            ),
            (
                "all ended",
                vec![network(exited(137)), member("web", exited(0)), member("log", exited(143))],
                ended("web", Some(0), "", false),
            ),
            (
                "the network ended",
                vec![network(exited(137)), member("web", running("")), member("log", running(""))],
                ended("", Some(137), dead_network, true),
            ),
            ("the network is gone", vec![member("web", running(""))], ended("", None, no_network, true)),
        ] {
            assert_eq!(fold(&parts), expect, "{what}");
        }
    }

    #[test]
    fn the_first_end_is_the_pods() {
        for (web, log, first) in [
            ("2026-11-21T09:00:00.1Z", "2026-11-21T09:00:00.09Z", "log"),
            ("2026-11-21T09:00:00.1Z", "2026-11-21T09:00:00.123456789Z", "web"),
            ("2026-11-21T09:00:00Z", "2026-11-21T08:59:59.9Z", "log"),
            ("", "2026-11-21T08:59:59.9Z", "log"),
        ] {
            let at = |name, ended_at: &str| Part { ended_at: ended_at.into(), ..member(name, exited(1)) };
            let Container::Exited(exit) = fold(&[network(exited(137)), at("web", web), at("log", log)]) else {
                panic!("it has ended")
            };
            assert_eq!(exit.container, first, "{web} {log}");
        }
    }

    #[test]
    fn the_list_has_each_instance_once() {
        let id = |n| InstanceId::derive(ClusterId(7), 1, n);
        let sole = |container| Part { role: Role::Sole, ..network(container) };
        let parts = vec![
            (id(1), member("web", running(""))),
            (id(2), sole(exited(0))),
            (id(1), network(running("172.17.0.2"))),
            (id(1), member("log", running(""))),
            (id(3), sole(Container::Created)),
        ];
        let parts = parts.into_iter().map(|(id, part)| (id, Maker::default(), part)).collect();
        let listing = |n, listing| Listed { instance: id(n), listing, maker: Maker::default() };
        let pod = Listing::Running { ip: Some("172.17.0.2".into()), ipv6: None };
        assert_eq!(fold_list(parts), [listing(1, pod), listing(2, Listing::Ended), listing(3, Listing::Created)]);
    }
}
