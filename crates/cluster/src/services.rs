//! Which apps are found under which name: two that have one are told so when they come, however many apps there are.

use crate::catalog::service_names;
use crate::model::{App, AppId};
use imbl::{OrdMap, OrdSet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The apps by the names of their services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services(OrdMap<String, OrdSet<AppId>>);

impl Services {
    /// Those of these apps.
    pub(crate) fn of<'a>(apps: impl Iterator<Item = &'a App>) -> Self {
        let mut services = Self::default();
        apps.for_each(|it| services.replace(None, Some(it)));
        services
    }

    /// Takes note of an app that changes, comes or goes.
    pub(crate) fn replace(&mut self, before: Option<&App>, after: Option<&App>) {
        let same = |(before, after): (&App, &App)| {
            Arc::ptr_eq(&before.current, &after.current) && before.removing == after.removing
        };
        if before.zip(after).is_some_and(same) {
            return;
        }
        let names = |it: &App| if it.removing { BTreeSet::new() } else { service_names(&it.current.spec) };
        for (app, name) in before.into_iter().flat_map(|it| names(it).into_iter().map(move |name| (&it.id, name))) {
            if let Some(apps) = self.0.get_mut(&name) {
                apps.remove(app);
                if apps.is_empty() {
                    self.0.remove(&name);
                }
            }
        }
        for (app, name) in after.into_iter().flat_map(|it| names(it).into_iter().map(move |name| (&it.id, name))) {
            self.0.entry(name).or_default().insert(app.clone());
        }
    }

    /// The apps that are found under this name.
    pub(crate) fn holders(&self, service: &str) -> impl Iterator<Item = &AppId> {
        self.0.get(service).into_iter().flatten()
    }
}
