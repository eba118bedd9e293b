//! `ekiden queue`.

use crate::error::Result;
use crate::follow::declines_everywhere;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Tone};
use crate::text;
use crate::verbs::change::evidence_lines;
use api::v2::{Queue as List, QueueItem};
use clap::Args;
use std::fmt::Write as _;

/// What waits, since when, and why.
#[derive(Clone, Debug, Args)]
pub struct Queue {
    /// Only this app or pod, with what each node says
    #[arg(value_parser = text::id)]
    app: Option<String>,
}

impl Queue {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        for id in list(session, self.app.as_deref()).await? {
            let details = details(session, &id).await?;
            session.data(&details)?;
        }
        Ok(())
    }
}

/// Prints what waits, or only this of it, and returns the paths that people want to know more of.
pub(super) async fn list(session: &mut Session<'_>, only: Option<&str>) -> Result<Vec<String>> {
    let (list, value) = session.ask::<List>(Request::get("/v2/queue")).await?;
    let wanted = only.map(text::app_id);
    let is_wanted = |it: &QueueItem| wanted.as_ref().is_none_or(|wanted| wanted == it.id());
    let rows = (&["APP", "MISSING", "SINCE", "DELAY", "REASON"][..], row);
    session.list((&list.queue, &value["queue"]), is_wanted, rows, "Nothing waits.")?;
    let shown = list.queue.iter().filter(|it| !session.is_json() && is_wanted(it));
    Ok(shown.map(|it| it.id().to_owned()).collect())
}

fn row(session: &Session<'_>, item: &QueueItem) -> Vec<Cell> {
    let delay = if item.delay.overdue { "-".to_owned() } else { format!("{} s", item.delay.time_left_seconds) };
    vec![
        item.id().into(),
        Cell::right(item.count.to_string()),
        text::age(session.now_ms(), &item.since).into(),
        delay.into(),
        Cell::toned(reason(item), Tone::Busy),
    ]
}

/// The reason that most nodes give, and how many.
fn reason(item: &QueueItem) -> String {
    if !item.delay.overdue {
        return "delayed after failures".to_owned();
    }
    let nodes = item.processed_offers_summary.processed_offers_count.0;
    if nodes == 0.0 {
        return "there is no node".to_owned();
    }
    let steps = item.processed_offers_summary.reject_summary_last_offers.iter().flatten();
    match steps.filter(|it| it.declined > 0).max_by_key(|it| it.declined) {
        Some(it) if declines_everywhere(item) => format!("{} on {} of {nodes} nodes", it.reason, it.declined),
        _ => "on its way".to_owned(),
    }
}

/// What each node says.
async fn details(session: &Session<'_>, app: &str) -> Result<String> {
    let request = Request::get(format!("/v3/apps{app}/explain"));
    let Some((explained, _)) = session.ask_if_there::<api::v3::Explanation>(request).await? else {
        return Ok(String::new());
    };
    let mut text = format!("\n{}\n", text::line(app));
    let prefix = format!("{app}: ");
    for it in &explained.waiting {
        let sentence = it.strip_prefix(&prefix).unwrap_or(it);
        writeln!(text, "  {}", text::line(sentence)).expect("a String takes all");
    }
    for it in &explained.nodes {
        let (node, reason) = (text::line(&it.node), text::line(&it.reason));
        writeln!(text, "  {node}: {reason}: {}", text::line(&it.detail)).expect("a String takes all");
    }
    for it in explained.evidence.iter().flat_map(evidence_lines) {
        writeln!(text, "  {}", text::line(&it)).expect("a String takes all");
    }
    Ok(text)
}
