//! `ekiden version`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use clap::Args;
use serde_json::{Value, json};

/// Print the version of this program, and of the cluster if it answers.
#[derive(Clone, Debug, Args)]
pub struct Version {}

impl Version {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let own = env!("CARGO_PKG_VERSION");
        let info = session.ask::<Value>(Request::get("/v2/info")).await.ok().map(|it| it.1);
        if session.is_json() {
            return session.json(&json!({ "ekiden": own, "cluster": info }));
        }
        session.data(&format!("ekiden {own}\n"))?;
        match info {
            None => session.note(&format!("no server answers at {}", session.servers())),
            Some(info) => {
                let field = |name: &str| crate::text::line(info[name].as_str().unwrap_or("unknown")).into_owned();
                let line = format!("cluster {}, as Marathon {}\n", field("buildref"), field("version"));
                session.data(&line)?;
            }
        }
        Ok(())
    }
}
