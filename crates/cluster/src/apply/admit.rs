//! What a change may not do to what is there: paths, volumes, expectations.

use super::Changing;
use super::deploy::{Target, Targets};
use crate::command::{Expect, Rejected};
use crate::external::exclusive;
use crate::model::{AppId, AppSpec, PathId, Volume};
use std::collections::{BTreeMap, BTreeSet};

impl Changing<'_> {
    pub(super) fn check_expectation(&self, id: &AppId, expect: Expect) -> Result<(), Rejected> {
        let there = self.state.apps.get(id);
        match expect {
            Expect::Absent if there.is_some_and(|it| !it.removing) => Err(Rejected::Exists { app: id.clone() }),
            Expect::Any | Expect::Absent => Ok(()),
            Expect::Version(version) if there.is_some_and(|it| !it.removing && it.current.version == version) => Ok(()),
            Expect::Version(_) if there.is_none_or(|it| it.removing) => Err(Rejected::NoApp { app: id.clone() }),
            Expect::Version(_) => Err(Rejected::Changed { app: id.clone() }),
        }
    }

    /// An app's path is not a group's: no app inside another, none where a group is.
    pub(super) fn check_paths(&self, targets: &Targets) -> Result<(), Rejected> {
        let given: BTreeSet<&AppId> =
            targets.apps.iter().filter(|it| matches!(it, Target::Spec(..))).map(Target::app).collect();
        let removed: BTreeSet<&AppId> =
            targets.apps.iter().filter(|it| matches!(it, Target::Removed(_))).map(Target::app).collect();
        let there = |it: &AppId| !removed.contains(it) && (given.contains(it) || self.state.live_app(it).is_some());
        let is_group = |it: &PathId| match targets.groups.iter().find(|(path, _)| path == it) {
            Some((_, spec)) => spec.is_some(),
            None => self.state.group(it).is_some(),
        };
        for target in &targets.apps {
            if let Target::Spec(spec, _) = target
                && let Some(app) = self.state.live_app(&spec.id)
                && app.current.spec.run.pod.is_some() != spec.run.pod.is_some()
            {
                let there = if spec.run.pod.is_some() { "an app" } else { "a pod" };
                return Err(Rejected::OtherKind { path: PathId::from(&spec.id), there });
            }
        }
        for app in given.iter().filter(|it| self.state.live_app(it).is_none()) {
            let path = PathId::from(*app);
            let around = path.ancestors().filter(|it| !it.is_root()).map(|it| it.as_app()).find(|it| there(it));
            let inside =
                given.range(path.first_inside()..).find(|it| path.contains(it.as_str())).map(|it| (*it).clone());
            let inside = inside.or_else(|| {
                self.state.apps_in(&path).find(|it| !it.removing && !removed.contains(&it.id)).map(|it| it.id.clone())
            });
            if let Some(other) = around.or(inside) {
                return Err(Rejected::Nested { app: (*app).clone(), other });
            }
            if is_group(&path) {
                return Err(Rejected::PathIsGroup { path });
            }
        }
        for (path, spec) in &targets.groups {
            let mut around = std::iter::once(path.clone()).chain(path.ancestors()).filter(|it| !it.is_root());
            if spec.is_some()
                && let Some(path) = around.find(|it| there(&it.as_app()))
            {
                return Err(Rejected::PathIsApp { path });
            }
        }
        Ok(())
    }

    /// Persistent volumes stay what they are while data is kept, also that of an app that is still being deleted.
    pub(super) fn check_persistent_volumes(&self, targets: &Targets) -> Result<(), Rejected> {
        for target in &targets.apps {
            let Target::Spec(spec, _) = target else { continue };
            let app = self.state.apps.get(&spec.id);
            let kept = |it: &AppSpec| -> Vec<Volume> {
                it.run.volumes.iter().filter(|it| matches!(it, Volume::Persistent(_))).cloned().collect()
            };
            let Some(app) = app.filter(|it| !it.reservations.is_empty()) else { continue };
            let (now, wanted) = (kept(&app.current.spec), kept(spec));
            // A rollback may have taken the volumes away, and left the data: they can come back as they were.
            let before = || app.versions.values().rev().map(|it| kept(&it.spec)).find(|it| !it.is_empty());
            if now != wanted && !(now.is_empty() && before().as_ref() == Some(&wanted)) {
                return Err(Rejected::Resident { app: spec.id.clone(), what: "they" });
            }
        }
        Ok(())
    }

    /// An external volume has one app, unless it is shared.
    pub(super) fn check_external_volumes(&self, targets: &Targets) -> Result<(), Rejected> {
        // Those that are changed as well keep what their targets say.
        let changed: BTreeSet<&AppId> =
            targets.apps.iter().filter(|it| !it.keeps_definition()).map(Target::app).collect();
        let mut taken: BTreeMap<&str, &AppId> = BTreeMap::new();
        for target in &targets.apps {
            let Target::Spec(spec, _) = target else { continue };
            for volume in exclusive(spec) {
                let mut others = self.state.external.holders(volume).filter(|it| !changed.contains(it));
                let other = taken.insert(volume, &spec.id).filter(|it| **it != spec.id).or_else(|| others.next());
                if let Some(other) = other {
                    return Err(Rejected::VolumeTaken { volume: volume.to_owned(), app: other.clone() });
                }
            }
        }
        Ok(())
    }
}
