//! What an operator lets apps have of a node beside what is harmless.

use super::{Network, RunSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Docker's options that reach beyond the container, or past what Ekiden sets itself: an app has them only on nodes
/// whose operator allows them. Names as in `docker run --help`, with what their values mean.
pub const BY_GRANT: &[(&str, &str)] = &[
    ("cap-add", "a capability, such as NET_ADMIN; may be repeated"),
    ("device", "a device of the node, /dev/x[:/dev/y[:rwm]]; may be repeated"),
    ("env", "an environment variable, NAME=value; wins over 'env'; may be repeated"),
    ("log-driver", "where the container's log goes, such as json-file, journald or none"),
    ("log-opt", "an option of the log driver, key=value; may be repeated"),
    (
        "name",
        "what Docker calls the container; a node has one instance of such an app at a time, and needs to have no other \
         container of that name",
    ),
    ("pid", "host: the processes of the node"),
    ("privileged", "true: all that root may on the node; said by 'docker.privileged'"),
    ("publish", "a port that is not in the books, [address:]number:number[/protocol]; may be repeated"),
    ("security-opt", "such as seccomp=unconfined or apparmor=profile; may be repeated"),
];

/// What an operator allows on a node (`parameters_allowed` in `agent.toml`): names of Docker's options, as `cap-add`, or
/// an option with the one value that is allowed, as `cap-add=NET_ADMIN`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(pub BTreeSet<String>);

impl Default for Grants {
    /// The host network, which Marathon's apps are on unless they say otherwise, and what becomes of a log: nothing of
    /// the node is in danger by that.
    fn default() -> Self {
        Self(["log-driver", "log-opt", "network=host"].map(str::to_owned).into())
    }
}

/// An option with its value that an app has only where it is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    option: String,
    with_value: String,
}

impl Ask {
    fn new(option: &str, value: &str) -> Self {
        Self { option: option.to_owned(), with_value: format!("{option}={value}") }
    }

    /// Whether this is what is asked for.
    pub fn is(&self, option: &str, value: &str) -> bool {
        *self == Self::new(option, value)
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.with_value == "privileged=true" { &self.option } else { &self.with_value })
    }
}

impl Grants {
    /// Whether this is allowed.
    pub fn cover(&self, ask: &Ask) -> bool {
        self.0.contains(&ask.option) || self.0.contains(&ask.with_value)
    }

    /// Whether an entry can ever allow anything: it names an option of [`BY_GRANT`], or the host network.
    pub fn is_known(entry: &str) -> bool {
        let option = entry.split_once('=').map_or(entry, |(option, _)| option);
        matches!(entry, "network" | "network=host") || BY_GRANT.iter().any(|(name, _)| *name == option)
    }
}

impl RunSpec {
    /// What Docker shall call the container, where that is not the instance's id.
    pub fn container_name(&self) -> Option<&str> {
        self.parameters.iter().rev().find(|it| it.0 == "name").map(|it| it.1.as_str())
    }

    /// What of this needs to be allowed by the node's operator.
    pub fn asks(&self) -> impl Iterator<Item = Ask> {
        let by_grant = |it: &&(String, String)| {
            BY_GRANT.iter().any(|(name, _)| *name == it.0) && !(it.0 == "privileged" && it.1 == "false")
        };
        let options = self.parameters.iter().filter(by_grant).map(|(option, value)| Ask::new(option, value));
        options.chain((self.network == Network::Host).then(|| Ask::new("network", "host")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_allows_an_option_or_one_value_of_it() {
        let grants = |entries: &[&str]| Grants(entries.iter().map(|it| (*it).to_owned()).collect());
        let ask = Ask::new("cap-add", "NET_ADMIN");
        for (entries, expect) in [
            (&["cap-add"][..], true),
            (&["cap-add=NET_ADMIN"][..], true),
            (&["cap-add=SYS_ADMIN", "device"][..], false),
            (&["cap-add=NET"][..], false),
            (&[][..], false),
        ] {
            assert_eq!(grants(entries).cover(&ask), expect, "{entries:?}");
        }
        for (entry, expect) in
            [("device=/dev/fuse", true), ("network=host", true), ("privileged", true), ("volume", false), ("", false)]
        {
            assert_eq!(Grants::is_known(entry), expect, "{entry}");
        }
        assert!(Grants::default().0.iter().all(|it| Grants::is_known(it)));
    }
}
