//! Evidence: a container that ran is removed only when what it left behind is safe, and where somebody asks why an
//! instance failed it is there.

use super::{Check, Did, Fact};
use cluster::{InstanceId, NodeId};
use std::collections::BTreeSet;

/// What ran, and what of it is safe.
#[derive(Default)]
pub(super) struct Evidence {
    /// Containers that ran, by node and name.
    ran: BTreeSet<(NodeId, String)>,
    /// Those whose evidence was kept since they ran last.
    kept: BTreeSet<(NodeId, String)>,
    /// Instances whose evidence was kept anywhere.
    known: BTreeSet<InstanceId>,
}

impl Check for Evidence {
    fn name(&self) -> &'static str {
        "evidence"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Docker { node, did, .. } => {
                let it = |name: &str| ((*node).clone(), name.to_owned());
                match did {
                    Did::Started(name, _) => {
                        self.ran.insert(it(name));
                        self.kept.remove(&it(name));
                    }
                    Did::Kept(name, id) => {
                        self.kept.insert(it(name));
                        self.known.insert(*id);
                    }
                    Did::Removed(name, _) => {
                        let (ran, kept) = (self.ran.remove(&it(name)), self.kept.remove(&it(name)));
                        if ran && !kept {
                            return Err(format!("{node}: {name} was removed, and what it left behind was not kept"));
                        }
                    }
                    _ => {}
                }
            }
            Fact::Applied { first: true, taken, .. } => {
                let failures = taken.after.apps().filter_map(|it| it.last_failure.as_ref());
                for failure in failures {
                    if failure.evidence.is_some() && !self.known.contains(&failure.instance) {
                        return Err(format!("instance {} has evidence that nobody kept", failure.instance));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
