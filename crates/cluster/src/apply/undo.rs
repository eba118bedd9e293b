//! Deployments undone: rolled back by a new one, or ended where they stand.

use super::Changing;
use super::deploy::{Inherited, Target, Targets};
use crate::command::Rejected;
use crate::model::{App, Deployment, DeploymentId, Outcome, PathId};
use std::sync::Arc;

impl Changing<'_> {
    pub(super) fn roll_back(&mut self, id: DeploymentId) -> Result<(), Rejected> {
        let deployment = self.active(id)?;
        let targets = self.undoing(&deployment)?;
        let by = self.next_deployment();
        self.revert(&deployment, targets, by, Outcome::RolledBack { by });
        Ok(())
    }

    /// What undoes only what the deployment changes: what it created goes, what it changed gets its old content back,
    /// and instances that still run that content stay. What another deployment has changed since stays as well.
    ///
    /// # Errors
    /// If what it deleted cannot come back, because others have taken its path or its external volume.
    pub(super) fn undoing(&self, deployment: &Deployment) -> Result<Targets, Rejected> {
        let id = deployment.id;
        let own = deployment.changes.iter().filter(|(_, it)| !it.carried);
        let targets = own.filter_map(|(app, change)| {
            let still_ours = |it: &&Arc<App>| {
                it.deployment.is_none_or(|holder| holder == id)
                    && change.to.map_or(it.removing, |to| !it.removing && it.current.version == to)
            };
            let Some(record) = self.state.apps.get(app) else {
                // It was deleted, and nobody has made a new one.
                let grave = self.state.graves.get(app)?.get(&deployment.version)?;
                let before = grave.versions.get(&change.from?)?;
                return Some(Target::Spec(Box::new(before.spec.clone()), None));
            };
            let record = Some(record).filter(still_ours)?;
            Some(match change.from {
                None => Target::Removed(app.clone()),
                Some(version) => {
                    let before = record.versions.get(&version)?;
                    Target::Spec(Box::new(before.spec.clone()), Some(before.run))
                }
            })
        });
        let mut targets = Targets { undo: true, ..Targets::of(targets.collect()) };
        let unchanged_since = |path: &PathId| {
            self.state
                .groups
                .get(path)
                .and_then(|it| it.versions.get_max())
                .is_some_and(|it| it.0 == deployment.version)
        };
        targets.groups = deployment.groups.iter().filter(|(path, _)| unchanged_since(path)).cloned().collect();
        self.check_paths(&targets)?;
        self.check_external_volumes(&targets)?;
        Ok(targets)
    }

    /// Ends the deployment by a new one with these targets.
    pub(super) fn revert(&mut self, deployment: &Deployment, targets: Targets, by: DeploymentId, outcome: Outcome) {
        let changes: Vec<_> = self.unfinished(deployment).into_iter().filter(|(_, it)| it.carried).collect();
        let inherited = Inherited { aims: self.aims_of(deployment), changes };
        self.end_deployment(deployment.id, outcome);
        // What was there before had no cycle, unless others have made one since: then there is no order to keep.
        let steps = self.steps(&targets, &inherited.changes).unwrap_or_default();
        self.deploy_as(by, targets, inherited, &steps);
    }

    /// Ends a deployment where it stands: an app that it was removing stays.
    pub(super) fn cancel(&mut self, id: DeploymentId) -> Result<(), Rejected> {
        let deployment = self.active(id)?;
        let changed = deployment.changes.keys().filter_map(|it| self.state.apps.get(it));
        let staying: Vec<Arc<App>> = changed.filter(|it| it.removing && it.deployment == Some(id)).cloned().collect();
        let spec = |it: &Arc<App>| Target::Spec(Box::new(it.current.spec.clone()), None);
        let targets = Targets::of(staying.iter().map(spec).collect());
        self.check_paths(&targets)?;
        self.check_external_volumes(&targets)?;
        for app in staying {
            self.put_app(App { removing: false, ..App::clone(&app) });
        }
        self.end_deployment(id, Outcome::Cancelled);
        Ok(())
    }
}
