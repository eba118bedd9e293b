//! Groups: put, scaled, restored, removed. Each is a change of the apps inside, in one deployment.

use super::Changing;
use super::deploy::{Target, Targets};
use crate::command::Rejected;
use crate::model::{AppId, GroupSpec, GroupUpdate, PathId, Version};
use std::collections::BTreeSet;

impl Changing<'_> {
    pub(super) fn put_group(&mut self, update: GroupUpdate, absent: bool, force: bool) -> Result<(), Rejected> {
        let path = update.id.clone();
        if absent && !path.is_root() && self.state.live_app(&path.as_app()).is_some() {
            return Err(Rejected::PathIsApp { path });
        }
        if absent && self.state.has_group(&path) {
            return Err(Rejected::GroupExists { group: path });
        }
        let mut targets = Targets::default();
        self.collect(update, &mut targets);
        self.deploy(targets, force)
    }

    /// What an update makes of the apps and groups inside a group.
    fn collect(&self, update: GroupUpdate, targets: &mut Targets) {
        let GroupUpdate { id, apps, groups, dependencies } = update;
        if let Some(apps) = &apps {
            let given: BTreeSet<&AppId> = apps.iter().map(|it| &it.id).collect();
            let own = self.state.apps_in(&id).filter(|it| !it.removing && it.id.group() == id);
            let unlisted = own.filter(|it| it.current.spec.run.pod.is_none() && !given.contains(&it.id));
            targets.apps.extend(unlisted.map(|it| Target::Removed(it.id.clone())));
        }
        if let Some(groups) = &groups {
            let given: BTreeSet<&PathId> = groups.iter().map(|it| &it.id).collect();
            let listed = |path: &PathId| given.contains(path) || path.ancestors().any(|it| given.contains(&it));
            let deeper = self.state.apps_in(&id).filter(|it| !it.removing && it.id.group() != id);
            let unlisted = deeper.filter(|it| !listed(&it.id.group()));
            targets.apps.extend(unlisted.map(|it| Target::Removed(it.id.clone())));
            let inside = self.state.groups().filter(|it| id.contains(it.id.as_str()) && !listed(&it.id));
            targets.groups.extend(inside.map(|it| (it.id.clone(), None)));
        }
        let before = self.state.group(&id).and_then(|it| it.current().cloned()).unwrap_or_default();
        let spec = GroupSpec { dependencies: dependencies.unwrap_or(before.dependencies) };
        targets.groups.push((id, Some(spec)));
        targets.apps.extend(apps.into_iter().flatten().map(|it| Target::Spec(Box::new(it), None)));
        for group in groups.into_iter().flatten() {
            self.collect(group, targets);
        }
    }

    pub(super) fn scale_group(&mut self, group: &PathId, factor_ppm: u64, force: bool) -> Result<(), Rejected> {
        self.check_group(group)?;
        let scaled = |n: u32| {
            let product = (u128::from(n) * u128::from(factor_ppm)).div_ceil(1_000_000);
            u32::try_from(product).unwrap_or(u32::MAX)
        };
        let apps = self.state.apps_in(group).filter(|it| !it.removing);
        let targets = apps.map(|it| Target::Scaled(it.id.clone(), scaled(it.current.spec.instances))).collect();
        self.deploy(Targets::of(targets), force)
    }

    pub(super) fn restore_group(&mut self, group: &PathId, version: Version, force: bool) -> Result<(), Rejected> {
        self.check_group(group)?;
        if !self.state.had_group(group, version) {
            return Err(Rejected::NoGroupVersion { group: group.clone() });
        }
        let then = self.state.apps_at(group, version);
        let kept: BTreeSet<&AppId> = then.iter().map(|it| &it.spec.id).collect();
        let later = self.state.apps_in(group).filter(|it| !it.removing && !kept.contains(&it.id));
        let mut targets = Targets::of(later.map(|it| Target::Removed(it.id.clone())).collect());
        targets.apps.extend(then.iter().map(|it| Target::Spec(Box::new(it.spec.clone()), None)));
        let inside = self.state.groups.values().filter(|it| it.id == *group || group.contains(it.id.as_str()));
        targets.groups = inside.map(|it| (it.id.clone(), it.at(version).cloned())).collect();
        self.deploy(targets, force)
    }

    pub(super) fn remove_group(&mut self, group: &PathId, force: bool) -> Result<(), Rejected> {
        self.check_group(group)?;
        let apps = self.state.apps_in(group).filter(|it| !it.removing);
        let mut targets = Targets::of(apps.map(|it| Target::Removed(it.id.clone())).collect());
        let inside = self.state.groups().filter(|it| it.id == *group || group.contains(it.id.as_str()));
        targets.groups = inside.map(|it| (it.id.clone(), None)).collect();
        self.deploy(targets, force)
    }

    fn check_group(&self, group: &PathId) -> Result<(), Rejected> {
        if self.state.has_group(group) { Ok(()) } else { Err(Rejected::NoGroup { group: group.clone() }) }
    }
}
