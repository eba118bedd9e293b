//! `ekiden orphan remove`.

use crate::error::{Error, Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change;
use api::v3;
use clap::Args;

/// End containers that no assignment covers, and remove them. Nothing else ever does.
#[derive(Clone, Debug, Args)]
pub struct Remove {
    /// Their ids, or ends of them, as `ekiden orphan list` prints
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID", value_parser = text::id)]
    ids: Vec<String>,
    /// All there are
    #[arg(long)]
    all: bool,
}

impl Remove {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (list, _) = session.ask::<v3::OrphanList>(Request::get("/v3/orphans")).await?;
        let mut ids = Vec::new();
        if self.all {
            ids.extend(list.orphans.iter().map(|it| it.id.clone()));
        }
        for typed in &self.ids {
            let found: Vec<_> = list.orphans.iter().filter(|it| it.id.ends_with(typed.as_str())).collect();
            match found[..] {
                [orphan] => ids.push(orphan.id.clone()),
                [] => {
                    let unknown = Error::new(Kind::NotFound, format!("there is no orphan `{typed}`"));
                    return Err(unknown.hint("`ekiden orphan list` shows which there are"));
                }
                _ => return Err(Error::new(Kind::Usage, format!("`{typed}` may be {} orphans", found.len()))),
            }
        }
        // One container may be on the lists of two nodes that share an engine.
        ids.sort_unstable();
        ids.dedup();
        for id in &ids {
            session.tell_empty(Request::delete(format!("/v3/orphans/{id}"))).await?;
            session.note(&format!("{id} is ended and removed by its node's agent"));
        }
        change::done(session, "removing")
    }
}
