//! `ekiden pod status`.

use crate::error::Result;
use crate::session::Session;
use crate::table::{Cell, Table, Tone};
use crate::text;
use crate::verbs::task;
use api::v2::ContainerStatus;
use clap::Args;

/// Show how each container of a pod is.
#[derive(Clone, Debug, Args)]
pub struct Status {
    /// The pod, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
}

impl Status {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (pod, value) = super::fetch(session, &self.id).await?;
        if session.is_json() {
            return session.json(&value);
        }
        let mut table = Table::new(&["INSTANCE", "CONTAINER", "NODE", "PORTS", "STATE", "HEALTH", "AGE"]);
        for instance in &pod.instances {
            let id = if session.is_wide() { instance.id.as_str() } else { task::short_id(&instance.id) };
            for it in &instance.containers {
                let (health, tone) = health(it);
                table.row(vec![
                    id.into(),
                    (&it.name).into(),
                    instance.agent_id.as_deref().unwrap_or("-").into(),
                    ports(it).into(),
                    task::state(&it.status).into(),
                    Cell::toned(health, tone),
                    Cell::toned(text::age(session.now_ms(), &it.status_since), Tone::Muted),
                ]);
            }
        }
        session.table(&table, "It has no instances; `ekiden queue` says what it waits for, if it does.")
    }
}

fn ports(it: &ContainerStatus) -> String {
    let ports: Vec<_> = it.endpoints.iter().filter_map(|it| it.allocated_host_port).map(|it| it.to_string()).collect();
    if ports.is_empty() { "-".to_owned() } else { ports.join(",") }
}

fn health(it: &ContainerStatus) -> (&'static str, Tone) {
    match it.conditions.iter().find(|it| it.name == "healthy").map(|it| it.value.as_str()) {
        Some("true") => ("healthy", Tone::Good),
        Some(_) => ("unhealthy", Tone::Bad),
        None => ("-", Tone::Muted),
    }
}
