//! `ekiden events`.

use crate::error::{Error, Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use crate::sse::{Event, Reader};
use crate::text;
use clap::Args;
use http_body_util::BodyExt;
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
        let mut last = self.after.clone().or_else(|| (!self.follow).then(|| BEGINNING.to_owned()));
        let mut opened = false;
        loop {
            let read = self.read(session, &request, &mut last, &mut opened).await;
            match read {
                Err(err) if !self.can_go_on(&err, opened) => return Err(err),
                Ok(()) if !self.follow => return Ok(()),
                outcome => {
                    let why = outcome.err().map_or_else(|| "the stream ended".to_owned(), |err| err.what);
                    session.note(&format!("{why}; it is opened again"));
                    tokio::time::sleep(session.pace().look * 10).await;
                }
            }
        }
    }

    fn can_go_on(&self, err: &Error, opened: bool) -> bool {
        self.follow && opened && matches!(err.kind, Kind::Unreachable | Kind::Temporary)
    }

    /// Prints one stream until its end.
    async fn read(
        &self,
        session: &mut Session<'_>,
        request: &Request,
        last: &mut Option<String>,
        opened: &mut bool,
    ) -> Result<()> {
        let mut body = session.stream(request, last.as_deref()).await?;
        *opened = true;
        let mut reader = Reader::default();
        loop {
            let frame = if self.follow {
                body.frame().await
            } else {
                match tokio::time::timeout(QUIET, body.frame()).await {
                    Ok(frame) => frame,
                    Err(_) => return Ok(()),
                }
            };
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(|err| Error::new(Kind::Unreachable, format!("the stream broke: {err}")))?;
            for event in frame.data_ref().map(|it| reader.take(it)).unwrap_or_default() {
                if event.id.is_some() {
                    last.clone_from(&event.id);
                }
                print(session, &event)?;
            }
        }
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
