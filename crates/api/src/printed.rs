//! Lists of apps, printed fast: definitions seldom change, so their JSON is kept from one list to the next.

use crate::to_wire::{self, Embed};
use cluster::{App, AppId, AppVersion, State, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The JSON of wanted versions. A clone is a handle to the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Definitions(Arc<Mutex<BTreeMap<AppId, Printed>>>);

/// A version and its JSON: an object.
#[derive(Clone, Debug)]
struct Printed {
    version: Arc<AppVersion>,
    json: Arc<[u8]>,
}

/// Stands for a definition that is printed already.
#[derive(Debug, Serialize)]
struct Elsewhere {}

impl Definitions {
    /// Prints these apps as an array under this name.
    pub(crate) fn print<'a>(
        &self,
        name: &str,
        apps: impl Iterator<Item = &'a App>,
        state: &State,
        embed: Embed,
        now: Timestamp,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = format!("{{\"{name}\":[").into_bytes();
        for (n, app) in apps.enumerate() {
            if n > 0 {
                text.push(b',');
            }
            let definition = self.of(app, state.n_apps())?;
            let beside = to_wire::app_info_beside(Elsewhere {}, state, app, embed, now);
            // `{"id":…}` and `{"tasksStaged":…}` become one object.
            text.extend_from_slice(&definition[..definition.len() - 1]);
            let seam = text.len();
            serde_json::to_writer(&mut text, &beside)?;
            text[seam] = b',';
        }
        text.extend_from_slice(b"]}");
        Ok(text)
    }

    /// The JSON of an app's wanted version.
    fn of(&self, app: &App, n_apps: usize) -> Result<Arc<[u8]>, serde_json::Error> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(printed) = kept.get(&app.id)
            && Arc::ptr_eq(&printed.version, &app.current)
        {
            return Ok(Arc::clone(&printed.json));
        }
        // Those of apps that are gone must not stay for ever.
        if kept.len() > 2 * n_apps + 64 {
            kept.clear();
        }
        let json: Arc<[u8]> = serde_json::to_vec(&to_wire::app(&app.current))?.into();
        kept.insert(app.id.clone(), Printed { version: Arc::clone(&app.current), json: Arc::clone(&json) });
        Ok(json)
    }
}
