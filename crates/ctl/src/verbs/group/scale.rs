//! `ekiden group scale`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Accepted, Wait};
use api::v2::DeploymentResult;
use clap::Args;
use serde_json::json;

/// Multiply the instances of every app in a group; the product is rounded up.
#[derive(Clone, Debug, Args)]
pub struct Scale {
    /// The group, such as /demo
    #[arg(value_parser = text::id)]
    id: String,
    /// By how much: 2 doubles, 0.5 halves, 0 stops all
    #[arg(value_parser = factor, allow_negative_numbers = true)]
    factor: f64,
    /// Take over from deployments under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Scale {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let id = text::app_id(&self.id);
        if self.factor == 0.0 {
            session.confirm(&format!("Stop all instances of all apps in {id}?"))?;
        }
        let body = json!({ "scaleBy": api::v2::Number(self.factor) }).to_string();
        let request = Request::put(super::path(&self.id), body).with_flag("force", self.force);
        let (result, _) = session.ask::<DeploymentResult>(request).await?;
        change::finish(session, vec![Accepted::new(id, result, "scaled")], &self.wait).await
    }
}

fn factor(typed: &str) -> Result<f64, String> {
    let wrong = || format!("`{typed}` is no factor: write 2 or 0.5");
    typed.parse().ok().filter(|it: &f64| it.is_finite() && *it >= 0.0).ok_or_else(wrong)
}
