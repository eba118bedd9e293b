//! Which apps are found under which name: two that have one are told so when they come, however many apps there are.

use crate::catalog::service_names;
use crate::model::{App, AppId, AppSpec};
use imbl::{OrdMap, OrdSet};

/// The apps by the names of their services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services(OrdMap<String, OrdSet<AppId>>);

impl Services {
    /// Those of these apps.
    pub(crate) fn of<'a>(apps: impl Iterator<Item = &'a App>) -> Self {
        let mut services = Self::default();
        apps.for_each(|it| services.replace(None, it.wanted()));
        services
    }

    /// Takes note of an app that has another wanted definition, comes or goes.
    pub(crate) fn replace(&mut self, before: Option<&AppSpec>, after: Option<&AppSpec>) {
        for (app, name) in before.into_iter().flat_map(names) {
            if let Some(apps) = self.0.get_mut(&name) {
                apps.remove(app);
                if apps.is_empty() {
                    self.0.remove(&name);
                }
            }
        }
        for (app, name) in after.into_iter().flat_map(names) {
            self.0.entry(name).or_default().insert(app.clone());
        }
    }

    /// The apps that are found under this name.
    pub(crate) fn holders(&self, service: &str) -> impl Iterator<Item = &AppId> {
        self.0.get(service).into_iter().flatten()
    }
}

fn names(spec: &AppSpec) -> impl Iterator<Item = (&AppId, String)> {
    service_names(spec).into_iter().map(|name| (&spec.id, name))
}
