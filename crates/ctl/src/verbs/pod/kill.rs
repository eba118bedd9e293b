//! `ekiden pod kill`.

use crate::error::{Error, Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use api::v2::PodInstance;
use clap::Args;
use serde_json::json;

/// Kill instances of a pod; others take their places.
#[derive(Clone, Debug, Args)]
pub struct Kill {
    /// The pod, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// Instance ids, or ends of them as `ekiden pod show` prints; without any, all are killed
    #[arg(value_name = "INSTANCE", value_parser = text::id)]
    instances: Vec<String>,
    /// Also destroy the volumes of those that keep data on their node
    #[arg(long)]
    wipe: bool,
}

impl Kill {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let id = text::app_id(&self.id);
        if self.instances.is_empty() {
            session.confirm(&format!("Kill all instances of {id}?"))?;
        }
        let (pod, _) = super::fetch(session, &self.id).await?;
        let all: Vec<&str> = pod.instances.iter().map(|it| it.id.as_str()).collect();
        let chosen = if self.instances.is_empty() {
            all
        } else {
            self.instances.iter().map(|typed| find(&all, typed, &id)).collect::<Result<_>>()?
        };
        let request = Request::delete_listed(format!("{}::instances", super::path(&id)), json!(chosen).to_string());
        let (killed, value) = session.ask::<Vec<PodInstance>>(request.with_flag("wipe", self.wipe)).await?;
        if session.is_json() {
            return session.json(&value);
        }
        for it in &killed {
            session.data(&format!("{}\n", text::line(&it.instance_id)))?;
        }
        session.note(&format!("killed {}", text::count(killed.len(), "instance")));
        Ok(())
    }
}

/// The one instance of this id, or with this end of it.
fn find<'a>(all: &[&'a str], typed: &str, pod: &str) -> Result<&'a str> {
    let found: Vec<&str> = all.iter().filter(|it| it.ends_with(typed)).copied().collect();
    match found[..] {
        [one] => Ok(one),
        [] => {
            let err = Error::new(Kind::NotFound, format!("{pod} has no instance `{typed}`"));
            Err(err.hint(format!("`ekiden pod show {pod}` shows what there is")))
        }
        _ => Err(Error::new(Kind::Usage, format!("`{typed}` may be {} instances", found.len()))),
    }
}
