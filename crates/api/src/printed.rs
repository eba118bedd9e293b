//! Lists of apps and instances, printed fast: definitions seldom change, so their JSON is kept from one list to the next.

use crate::stream;
use crate::to_wire::{self, Embed, Piece};
use axum::response::Response;
use cluster::{App, AppId, AppVersion, Moment, State};
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

impl Definitions {
    /// Answers with these pieces of a snapshot, one after another.
    pub(crate) async fn answer(&self, pieces: Vec<Piece>, state: Arc<State>, embed: Embed, now: Moment) -> Response {
        let definitions = self.clone();
        stream::json_of(pieces.into_iter(), move |piece, text| match piece {
            Piece::Text(it) => {
                text.extend_from_slice(it.as_bytes());
                Ok(())
            }
            Piece::App(app) => definitions.print(&app, &state, embed, now, text),
            Piece::Pod(pod) => serde_json::to_writer(text, &to_wire::pod_status(&state, &pod)),
            Piece::Then(version) => serde_json::to_writer(text, &to_wire::app(&version)),
            Piece::Task(instance) => serde_json::to_writer(text, &to_wire::task(&state, &instance)),
        })
        .await
    }

    /// Prints an app: its definition, and what is asked for beside it.
    fn print(
        &self,
        app: &App,
        state: &State,
        embed: Embed,
        now: Moment,
        text: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let definition = self.of(app, state.n_apps())?;
        // `{"id":…}` and `{"tasksStaged":…}` become one object.
        text.extend_from_slice(&definition[..definition.len() - 1]);
        let seam = text.len();
        serde_json::to_writer(&mut *text, &to_wire::beside(state, app, embed, now))?;
        if text[seam..] == *b"{}" {
            text.remove(seam);
        } else {
            text[seam] = b',';
        }
        Ok(())
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
