//! `ekiden deployment watch`.

use crate::error::Result;
use crate::follow::{self, End};
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Accepted, Wait};
use clap::Args;
use std::time::Duration;

/// Watch deployments until their end, and end with their result as exit code.
#[derive(Clone, Debug, Args)]
pub struct Watch {
    /// The deployments
    #[arg(required = true, value_name = "DEPLOYMENT", value_parser = text::id)]
    ids: Vec<String>,
    /// Watch so long at most; the deployment itself goes on
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = text::parse_duration)]
    timeout: Duration,
    /// Do not wait for better times: end as soon as an instance fails or no node takes one
    #[arg(long)]
    fail_fast: bool,
}

impl Watch {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let wait = Wait { is_wanted: true, timeout: self.timeout, fail_fast: self.fail_fast };
        let ends = follow::follow(session, self.ids.clone(), &wait).await?;
        let accepted: Vec<Accepted> = ends.iter().flat_map(accepted).collect();
        change::conclude(session, &accepted, &ends, &wait)
    }
}

fn accepted(end: &End) -> impl Iterator<Item = Accepted> {
    end.apps.iter().map(|(app, _)| Accepted {
        app: app.clone(),
        deployment: end.deployment.clone(),
        version: end.version.clone(),
        did: "watched",
    })
}
