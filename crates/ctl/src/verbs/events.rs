//! `ekiden events`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::sse::Event;
use crate::stream::Stream;
use crate::text;
use clap::Args;
use serde_json::Value;
use std::time::Duration;

/// Where the cluster's memory begins: what is older than all that is kept.
const BEGINNING: &str = "0-0-0";

/// A stream that is silent for so long has told all that had happened.
const QUIET: Duration = Duration::from_secs(1);

/// Print what happens, one event a line.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Events {
    /// Print what happens from now on, until Ctrl-C; without it, what is remembered
    #[arg(short, long)]
    follow: bool,
    /// Only events of this type, such as `status_update_event`; may be given more than once
    #[arg(short, long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Begin behind the event of this id; `-o wide` prints ids
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

const AFTER_HELP: &str = "\
With --follow a stream that breaks is opened again, on whichever server answers, behind the last event that came. \
`-o json` prints each event as one line of JSON.";

impl Events {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let request = self.types.iter().fold(Request::get("/v2/events"), |it, kind| it.with("event_type", kind));
        let request = request.with("plan-format", "light");
        let after = self.after.clone().or_else(|| (!self.follow).then(|| BEGINNING.to_owned()));
        Stream::new(self.follow, after, Some(QUIET)).read(session, &request, print).await
    }
}

fn print(session: &mut Session<'_>, event: &Event) -> Result<()> {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    match event.name.as_str() {
        // Of this reader, and not of the cluster.
        "event_stream_attached" => return Ok(()),
        "reset" => {
            session.note("older events are no longer kept");
            return Ok(());
        }
        _ => {}
    }
    if session.is_json() {
        let line = format!("{data}\n");
        return session.data(&line);
    }
    let mut line = String::new();
    if session.is_wide() {
        line.extend([event.id.as_deref().unwrap_or("-"), "  "]);
    }
    let at = data["timestamp"].as_str().unwrap_or("-");
    line.extend([session.moment(at).as_str(), "  ", event.name.as_str()]);
    for it in details(&data) {
        line.extend(["  ", it.as_str()]);
    }
    let line = text::line(&line).into_owned() + "\n";
    session.data(&line)
}

/// What people want to know of an event, whatever its type: what it is about, and what became of it.
fn details(data: &Value) -> Vec<String> {
    let text = |at: &str| data.pointer(at).and_then(Value::as_str).filter(|it| !it.is_empty()).map(str::to_owned);
    let about = ["/appId", "/runSpecId", "/groupId", "/appDefinition/id", "/uri", "/plan/id", "/id"];
    let mut details: Vec<String> = about.iter().find_map(|it| text(it)).into_iter().collect();
    details.extend(["/taskStatus", "/condition"].iter().find_map(|it| text(it)));
    let health = data["alive"].as_bool().or_else(|| data["healthy"].as_bool());
    details.extend(health.map(|it| if it { "healthy" } else { "unhealthy" }.to_owned()));
    details.extend(text("/host").map(|it| format!("on {it}")));
    details.extend(["/message", "/reason"].iter().find_map(|it| text(it)));
    details
}
