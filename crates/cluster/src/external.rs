//! Who has an external volume for itself: found by the volume's name, however many apps there are.

use crate::model::{App, AppId, AppSpec, Volume};
use imbl::{OrdMap, OrdSet};

/// The apps that have external volumes which are not shared, by the volumes' names.
#[derive(Clone, Debug, Default)]
pub(crate) struct External(OrdMap<String, OrdSet<AppId>>);

impl External {
    /// The volumes of these apps.
    pub(crate) fn of<'a>(apps: impl Iterator<Item = &'a App>) -> Self {
        let mut external = Self::default();
        apps.for_each(|it| external.replace(None, it.wanted()));
        external
    }

    /// Takes note of an app that has another wanted definition, comes or goes.
    pub(crate) fn replace(&mut self, before: Option<&AppSpec>, after: Option<&AppSpec>) {
        for (app, volume) in before.into_iter().flat_map(has) {
            if let Some(holders) = self.0.get_mut(volume) {
                holders.remove(app);
                if holders.is_empty() {
                    self.0.remove(volume);
                }
            }
        }
        for (app, volume) in after.into_iter().flat_map(has) {
            self.0.entry(volume.to_owned()).or_default().insert(app.clone());
        }
    }

    /// The apps that have the volume of this name.
    pub(crate) fn holders(&self, volume: &str) -> impl Iterator<Item = &AppId> {
        self.0.get(volume).into_iter().flatten()
    }
}

/// The names of the external volumes that a definition wants for its app alone.
pub(crate) fn exclusive(spec: &AppSpec) -> impl Iterator<Item = &str> {
    spec.run.volumes.iter().filter_map(|it| match it {
        Volume::External(it) if !it.shared => Some(it.name.as_str()),
        _ => None,
    })
}

fn has(spec: &AppSpec) -> impl Iterator<Item = (&AppId, &str)> {
    exclusive(spec).map(|volume| (&spec.id, volume))
}
