//! `ekiden task show`.

use crate::error::Result;
use crate::session::Session;
use crate::text;
use clap::Args;
use std::fmt::Write as _;

/// Show one task: where it is, and what its checks say.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// A task id, or the end of one as `ekiden task list` prints
    #[arg(value_name = "TASK", value_parser = text::id)]
    id: String,
}

impl Show {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (task, value) = super::find(session, &self.id).await?;
        if session.is_json() {
            return session.json(&value);
        }
        let (health, tone) = super::health(&task);
        let health = if health == "-" { String::new() } else { format!("  {}", session.paint(tone, health)) };
        let mut card = format!("{}  {}{health}\n", text::line(&task.id), super::state(&task.state));
        let mut field = |name: &str, value: &str| {
            writeln!(card, "  {name:<11}{}", text::line(value)).expect("a String takes all");
        };
        field("app", &task.app_id);
        field("node", task.slave_id.as_deref().unwrap_or("-"));
        field("host", &task.host);
        let ports: Vec<_> = task.ports.iter().map(u16::to_string).collect();
        if !ports.is_empty() {
            field("ports", &ports.join(", "));
        }
        for it in &task.ip_addresses {
            field("address", &it.ip_address);
        }
        field("version", task.version.as_deref().unwrap_or("-"));
        let age = |moment: &str| format!("{moment} ({} ago)", text::age(session.now_ms(), moment));
        for (name, moment) in [("staged", &task.staged_at), ("started", &task.started_at)] {
            if let Some(moment) = moment {
                field(name, &age(moment));
            }
        }
        for it in task.health_check_results.iter().flatten() {
            let cause = it.last_failure_cause.as_deref().filter(|_| !it.alive);
            let failures = format!("{} failures in a row", text::number(it.consecutive_failures.0));
            let word = match it.alive {
                true => "alive".to_owned(),
                false if super::is_unhealthy(it) => failures,
                false => "not yet".to_owned(),
            };
            field("check", &cause.map_or(word.clone(), |cause| format!("{word}: {cause}")));
        }
        session.data(&card)
    }
}
