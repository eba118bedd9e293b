//! `ekiden logs`.

use crate::error::{Error, Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use crate::sse::Event;
use crate::stream::Stream;
use crate::table::Tone;
use crate::text;
use crate::verbs::task;
use api::v3::{LogLines, LoggedLine};
use clap::Args;
use serde_json::{Value, json};

/// Who follows sees so many lines from before.
const TAIL_WHEN_FOLLOWING: &str = "100";

/// Instances are told apart by these, in turns.
const TONES: [Tone; 4] = [Tone::Good, Tone::Busy, Tone::Bad, Tone::Plain];

/// Print what containers wrote, also those that are gone, in the order of time.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Logs {
    /// The app, pod or group, such as /demo/web
    #[arg(value_parser = text::id, required_unless_present_any = ["deployment", "instances"])]
    id: Option<String>,
    /// Also print what comes from now on, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines; 100 with --follow, otherwise all
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<String>,
    /// Only what was written then or later: 10m, 2h, or 2026-11-28T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was written before that
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only lines in which this regular expression is found
    #[arg(short = 'e', long, value_name = "REGEX")]
    grep: Option<String>,
    /// Only lines in which it is not found
    #[arg(short = 'v', long, requires = "grep")]
    invert: bool,
    /// Only what was written there
    #[arg(long, value_parser = ["stdout", "stderr"])]
    stream: Option<String>,
    /// Only of this instance, by its task's id; may be given more than once
    #[arg(short, long = "instance", value_name = "TASK")]
    instances: Vec<String>,
    /// Of a pod: only of this container
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// Of the apps that a deployment changes, since it began
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    deployment: Option<String>,
    /// Begin each line with its time
    #[arg(short, long)]
    times: bool,
    /// Do not say which instance a line is of
    #[arg(long)]
    no_names: bool,
    /// Leave lines as they are, with all that moves a terminal
    #[arg(long)]
    raw: bool,
}

const AFTER_HELP: &str = "\
What an instance wrote is kept on its node for a day after its end, or as long as the agent's [evidence] says. A stream \
that breaks is opened again behind the last line that came. `-o json` prints each line as one line of JSON.";

impl Logs {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (mut known, mut n_lines) = (Vec::new(), 0);
        let tell = |session: &mut Session<'_>, event: &Event| {
            let lines: LogLines = serde_json::from_str(&event.data).unwrap_or_default();
            n_lines += lines.lines.len();
            self.print(session, &lines, &mut known)
        };
        Stream::new(self.follow, None, None).read(session, &self.request(), tell).await?;
        if n_lines > 0 {
            return Ok(());
        }
        if let Some(id) = &self.id {
            exists(session, id).await?;
        }
        session.note("no lines");
        Ok(())
    }

    fn request(&self) -> Request {
        let tail = self.tail.as_deref().or_else(|| self.follow.then_some(TAIL_WHEN_FOLLOWING));
        let some = [
            // An app or a pod is all that there is in the group of its name.
            ("group", self.id.as_deref()),
            ("deployment", self.deployment.as_deref()),
            ("container", self.container.as_deref()),
            ("since", self.since.as_deref()),
            ("until", self.until.as_deref()),
            ("tail", tail),
            ("stream", self.stream.as_deref()),
            ("grep", self.grep.as_deref()),
        ];
        let given = some.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let request = given.fold(Request::get("/v3/logs"), |it, (name, value)| it.with(name, value));
        let request = self.instances.iter().fold(request, |it, id| it.with("instance", id));
        request.with_flag("follow", self.follow).with_flag("invert", self.invert)
    }

    fn print(&self, session: &mut Session<'_>, lines: &LogLines, known: &mut Vec<String>) -> Result<()> {
        let mut out = String::new();
        for it in &lines.lines {
            if session.is_json() {
                out.push_str(&json!(it).to_string());
                out.push('\n');
                continue;
            }
            if self.times {
                out += &session.paint(Tone::Muted, &format!("{} ", it.time));
            }
            if !self.no_names {
                out += &session.paint(tone(known, it), &format!("{} ", name(session, it)));
            }
            out += &if self.raw { it.text.as_str().into() } else { text::line(&it.text) };
            out.push('\n');
        }
        session.data(&out)?;
        for it in &lines.notices {
            if session.is_json() {
                session.data(&format!("{}\n", json!({ "notice": it })))?;
            } else {
                session.note(&it.message);
            }
        }
        Ok(())
    }
}

/// Which instance a line is of.
fn name(session: &Session<'_>, it: &LoggedLine) -> String {
    let id = if session.is_wide() { it.instance.as_str() } else { task::short_id(&it.instance) };
    match &it.container {
        Some(container) => format!("{id}/{container}"),
        None => id.to_owned(),
    }
}

/// The same for all lines of an instance.
fn tone(known: &mut Vec<String>, it: &LoggedLine) -> Tone {
    let at = known.iter().position(|known| *known == it.instance).unwrap_or_else(|| {
        known.push(it.instance.clone());
        known.len() - 1
    });
    TONES[at % TONES.len()]
}

/// Says so where nothing of this name is there, whose lines they might have been.
async fn exists(session: &Session<'_>, id: &str) -> Result<()> {
    let id = text::app_id(id);
    for kind in ["apps", "pods", "groups"] {
        if session.ask_if_there::<Value>(Request::get(format!("/v2/{kind}{id}"))).await?.is_some() {
            return Ok(());
        }
    }
    let err = Error::new(Kind::NotFound, format!("there is no app, pod or group {id}, and no line of one"));
    Err(err.hint("`ekiden app list` shows what there is"))
}
