//! Groups and apps as the behaviours of groups and of their deployments put them, in a word each.

use crate::world::{World, plain, spec};
use cluster::{AppSpec, Applied, Command, Expect, GroupUpdate, PathId, Rejected};

/// A small app without health checks.
pub(crate) fn small(path: &str, instances: u32) -> AppSpec {
    spec(&plain(path, instances))
}

/// The same app, after those of these paths.
pub(crate) fn after(mut spec: AppSpec, dependencies: &[&str]) -> AppSpec {
    spec.policy.dependencies = dependencies.iter().map(|it| path(it)).collect();
    spec
}

pub(crate) fn path(text: &str) -> PathId {
    PathId::parse(text).unwrap()
}

/// A group with these apps of its own.
pub(crate) fn group(of: &str, apps: Vec<AppSpec>) -> GroupUpdate {
    GroupUpdate { id: path(of), apps: Some(apps), groups: None, dependencies: None }
}

/// A group that has these groups in it.
pub(crate) fn around(of: &str, groups: Vec<GroupUpdate>) -> GroupUpdate {
    GroupUpdate { id: path(of), apps: None, groups: Some(groups), dependencies: None }
}

/// The same group, after those of these paths.
pub(crate) fn group_after(mut update: GroupUpdate, dependencies: &[&str]) -> GroupUpdate {
    update.dependencies = Some(dependencies.iter().map(|it| path(it)).collect());
    update
}

impl World {
    pub(crate) fn put_group(&self, update: GroupUpdate) -> Result<Applied, Rejected> {
        self.command(Command::PutGroup { update, absent: false, force: false })
    }

    /// Puts a group and lets it come up.
    pub(crate) fn run_group(&self, update: GroupUpdate) {
        self.put_group(update).unwrap();
        self.settle();
        assert!(!self.is_deploying());
    }

    pub(crate) fn remove_group(&self, of: &str, force: bool) -> Result<Applied, Rejected> {
        self.command(Command::RemoveGroup { group: path(of), force })
    }

    pub(crate) fn roll_back(&self, applied: &Applied) {
        self.command(Command::RollBack { deployment: applied.deployment.unwrap() }).unwrap();
        self.settle();
        assert!(!self.is_deploying());
    }

    pub(crate) fn put_all(&self, apps: Vec<AppSpec>, force: bool) -> Result<Applied, Rejected> {
        let apps = apps.into_iter().map(|it| (it, Expect::Any)).collect();
        self.command(Command::PutApps { apps, force })
    }

    /// The apps of a deployment, by step.
    pub(crate) fn steps(&self, applied: &Applied) -> Vec<Vec<String>> {
        let state = self.state();
        let deployment = state.deployment(applied.deployment.unwrap()).unwrap();
        let of = |n| deployment.changes.iter().filter(move |(_, it)| it.step == n).map(|(app, _)| app.to_string());
        (1..=deployment.n_steps()).map(|n| of(n).collect()).collect()
    }

    /// The live apps, by path.
    pub(crate) fn apps(&self) -> Vec<String> {
        self.state().apps().filter(|it| !it.removing).map(|it| it.id.to_string()).collect()
    }

    pub(crate) fn has_group(&self, of: &str) -> bool {
        self.state().has_group(&path(of))
    }
}
