//! Apps that would be found under one name in Consul: whoever asks for one would get either.

use super::Changing;
use super::deploy::{Target, Targets};
use crate::catalog::service_names;
use crate::command::{Rejected, SharedService};
use crate::model::AppId;
use std::collections::{BTreeMap, BTreeSet};

impl Changing<'_> {
    /// Tells which apps come to a name that another one has; refuses it where the operator wants that. An app that has
    /// the name already is not refused for it: it could not be changed any more. One that is scaled comes to none.
    pub(super) fn check_services(&mut self, targets: &Targets) -> Result<(), Rejected> {
        let changed: BTreeSet<&AppId> =
            targets.apps.iter().filter(|it| !it.keeps_definition()).map(Target::app).collect();
        let mut taken: BTreeMap<String, &AppId> = BTreeMap::new();
        let mut shared = Vec::new();
        for target in &targets.apps {
            let Target::Spec(spec, _) = target else { continue };
            let now = self.state.live_app(&spec.id).map(|it| service_names(&it.current.spec)).unwrap_or_default();
            for service in service_names(spec) {
                let other = self.state.services.holders(&service).find(|it| !changed.contains(it));
                let Some(other) = taken.get(&service).copied().or(other).cloned() else {
                    taken.insert(service, &spec.id);
                    continue;
                };
                let sharing = SharedService { app: spec.id.clone(), service, other };
                if self.state.settings.unique_services && !now.contains(&sharing.service) {
                    return Err(Rejected::ServiceTaken(sharing));
                }
                shared.push(sharing);
            }
        }
        self.applied.shared_services.extend(shared);
        Ok(())
    }
}
