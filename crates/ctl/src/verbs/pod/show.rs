//! `ekiden pod show`.

use crate::error::Result;
use crate::session::Session;
use crate::table::{Cell, Table, Tone};
use crate::text;
use crate::verbs::{history, task};
use api::v2::{PodCommand, PodContainer, PodStatus};
use clap::Args;
use std::fmt::Write as _;

/// Show one pod and its instances.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// The pod, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// Print the definition of this version instead
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
}

impl Show {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let path = super::path(&self.id);
        if self.version.is_some() || session.is_json() {
            let path = self.version.as_ref().map_or(path.clone(), |it| format!("{path}::versions/{it}"));
            return history::definition(session, path).await;
        }
        let (pod, _) = super::fetch(session, &self.id).await?;
        let card = card(session, &pod);
        session.data(&card)?;
        if pod.instances.is_empty() {
            return Ok(());
        }
        session.data("\n")?;
        let mut table = Table::new(&["ID", "NODE", "STATUS", "SINCE", "ADDRESS"]);
        for it in &pod.instances {
            let (status, tone) = super::word(&it.status);
            let addresses: Vec<&str> = it.networks.iter().flat_map(|it| &it.addresses).map(String::as_str).collect();
            table.row(vec![
                if session.is_wide() { it.id.as_str() } else { task::short_id(&it.id) }.into(),
                it.agent_id.as_deref().unwrap_or("-").into(),
                Cell::toned(status, tone),
                Cell::toned(text::age(session.now_ms(), &it.status_since), Tone::Muted),
                if addresses.is_empty() { "-".to_owned() } else { addresses.join(",") }.into(),
            ]);
        }
        session.table(&table, "")
    }
}

fn card(session: &Session<'_>, pod: &PodStatus) -> String {
    let now_ms = session.now_ms();
    let spec = &pod.spec;
    let (status, tone) = super::status(pod);
    let (id, counts) = (text::line(&pod.id), super::counts(pod));
    let mut card = format!("{id}  {}  {counts} stable\n", session.paint(tone, status));
    let mut field = |name: &str, value: String| {
        writeln!(card, "  {name:<13}{}", text::line(&value)).expect("a String takes all");
    };
    for it in &spec.containers {
        field("container", container(it));
    }
    for it in &spec.networks {
        field("network", it.name.clone().unwrap_or_else(|| it.mode.clone()));
    }
    field("version", format!("{} ({} ago)", spec.version, text::age(now_ms, &spec.version)));
    if !spec.labels.is_empty() {
        let labels: Vec<_> = spec.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        field("labels", labels.join(" "));
    }
    for it in &pod.termination_history {
        let message = it.message.as_deref().unwrap_or("for no known reason");
        field("ended", format!("{} ago: {message}", text::age(now_ms, &it.terminated_at)));
    }
    card
}

/// `web  nginx:1.25  0.1 cpus, 32M  http:80`
fn container(it: &PodContainer) -> String {
    let what = match (&it.image, &it.exec) {
        (Some(image), _) => image.id.clone(),
        (None, Some(exec)) => match &exec.command {
            PodCommand::Shell { shell } => shell.clone(),
            PodCommand::Argv { argv } => argv.join(" "),
        },
        (None, None) => "-".to_owned(),
    };
    let (cpus, memory) = (text::number(it.resources.cpus.0), text::mebibytes(it.resources.mem.0));
    let endpoints = it.endpoints.iter().map(|it| match it.container_port.or(it.host_port) {
        Some(port) => format!("  {}:{port}", it.name),
        None => format!("  {}", it.name),
    });
    format!("{}  {what}  {cpus} cpus, {memory}{}", it.name, endpoints.collect::<String>())
}
