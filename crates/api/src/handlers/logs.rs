//! `GET /v3/logs`: what containers wrote, also those that are gone, merged over instances and nodes.
//!
//! As lines of text, as one JSON object per line, or as server-sent events; whole, the last lines, or also what comes.

use crate::context::Api;
use crate::control::ControlPlane;
use crate::error::Error;
use crate::logs::{Line, Merged, Places, Told};
use crate::readers::Seated;
use crate::request::Request;
use crate::{time, to_wire, v3};
use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use cluster::agent::LogQuery;
use cluster::{AppId, DeploymentId, InstanceId, PathId, Stream, pattern};
use futures::stream;
use http::{HeaderValue, header};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

/// No more last lines are asked for at once.
const TAIL_MAX: u64 = 10_000;
/// A longer place is not told: the header in which a reader brings it back has a limit.
const PLACE_BYTES_MAX: usize = 8 << 10;
/// So often a reader that follows hears something.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Lines are asked for by at most so many apps, and so many instances.
const NAMED_MAX: usize = 1_000;

/// In which form lines are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A line as it is, or behind its time, or behind its instance.
    Text { times: bool, names: bool },
    /// An object for each.
    Json,
    /// Some at once, as an event.
    Events,
}

/// `GET /v3/logs`
pub(crate) async fn get<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let (form, kind) = form(request)?;
    let query = query(api, request).await?;
    let download = request.query.first("download");
    let gzip = match download {
        None | Some("plain" | "") => false,
        Some("gz") => true,
        Some(other) => {
            return Err(Error::Argument(format!("parameter 'download' must be plain or gz, it is '{other}'")));
        }
    };
    if gzip && query.follow {
        return Err(Error::Argument(
            "parameter 'download=gz' is for what has been written: leave 'follow' out".to_owned(),
        ));
    }
    // Whoever follows is a reader like those of events, of whom there are only so many.
    let seated = query.follow.then(|| api.readers.sit(request.address, request.connection.clone())).transpose()?;
    let name = download.map(|_| file_name(&query, form, gzip));
    let teller = Teller { lines: Merged::new(api.control.clone(), query), form, seated, api: api.clone() };
    let encoder = gzip.then(|| flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default()));
    let body = stream::unfold(Some((teller, encoder)), |rest| async move {
        let (mut teller, mut encoder) = rest?;
        loop {
            let Some(text) = teller.next().await else {
                let end = encoder?.finish().ok()?;
                return Some((Ok::<_, Infallible>(Bytes::from(end)), None));
            };
            let Some(packed) = &mut encoder else { return Some((Ok(text), Some((teller, encoder)))) };
            packed.write_all(&text).ok()?;
            if !packed.get_ref().is_empty() {
                let out = std::mem::take(packed.get_mut());
                return Some((Ok(out.into()), Some((teller, encoder))));
            }
        }
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(if gzip { "application/gzip" } else { kind }));
    // Proxies that collect answers would keep lines back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    if let Some(name) = name
        && let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
    {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    if gzip {
        // As it is: it shall lie on the client's disk so.
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
    }
    Ok(response)
}

fn form(request: &Request) -> Result<(Form, &'static str), Error> {
    let named = |kind| request.named(&[kind]);
    if named("text/event-stream").is_some() {
        return Ok((Form::Events, "text/event-stream;charset=UTF-8"));
    }
    if named("application/x-ndjson").is_some() || named("application/json").is_some() {
        return Ok((Form::Json, "application/x-ndjson"));
    }
    if !request.accepts("text/plain") {
        return Err(Error::NotAcceptable);
    }
    let (times, names) = (request.query.flag("times", false)?, request.query.flag("names", false)?);
    Ok((Form::Text { times, names }, "text/plain;charset=UTF-8"))
}

fn file_name(query: &LogQuery, form: Form, gzip: bool) -> String {
    let app = query.apps.first().map(|it| it.joined("_"));
    let group = query.group.as_ref().map(|it| it.to_string().trim_start_matches('/').replace('/', "_"));
    let name = app.or(group).filter(|it| !it.is_empty()).unwrap_or_else(|| "all".to_owned());
    format!("{name}.{}{}", if form == Form::Json { "ndjson" } else { "log" }, if gzip { ".gz" } else { "" })
}

/// What is asked for. All that is wrong is told at once.
async fn query<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<LogQuery, Error> {
    let mut wrong = Vec::new();
    let given = &request.query;
    let mut query = LogQuery { container: given.first("container").map(str::to_owned), ..LogQuery::default() };
    for text in given.all("app").take(NAMED_MAX) {
        match AppId::parse(text) {
            Ok(id) => query.apps.push(id),
            Err(error) => wrong.push(format!("parameter 'app': {error}")),
        }
    }
    if let Some(text) = given.first("group") {
        match PathId::parse(text) {
            Ok(id) => query.group = Some(id),
            Err(error) => wrong.push(format!("parameter 'group': {error}")),
        }
    }
    for text in given.all("instance").take(NAMED_MAX) {
        match text.parse::<InstanceId>().or_else(|_| to_wire::parse_task_id(text).map(|it| it.1)) {
            Ok(id) => query.instances.push(id),
            Err(_) => wrong.push(format!("parameter 'instance' must be a task's or an instance's id, it is '{text}'")),
        }
    }
    let now_ns = api.control.now().0.saturating_mul(1_000_000);
    for (name, at) in [("since", &mut query.since_ns), ("until", &mut query.until_ns)] {
        match given.first(name).map(|it| moment_ns(it, now_ns)) {
            Some(None) => wrong.push(format!(
                "parameter '{name}' must be a moment such as 2026-11-28T12:00:00Z or a time ago such as 10m, it is '{}'",
                given.first(name).unwrap_or_default()
            )),
            it => *at = it.flatten(),
        }
    }
    match given.first("tail").map(str::parse::<u64>) {
        None => {}
        Some(Ok(n)) if n <= TAIL_MAX => query.tail = Some(n),
        _ if given.first("tail") == Some("all") => {}
        Some(_) => wrong.push(format!("parameter 'tail' must be a number up to {TAIL_MAX}, or all")),
    }
    query.stream = match given.first("stream") {
        None => None,
        Some("stdout") => Some(Stream::Stdout),
        Some("stderr") => Some(Stream::Stderr),
        Some(other) => {
            wrong.push(format!("parameter 'stream' must be stdout or stderr, it is '{other}'"));
            None
        }
    };
    if let Some(text) = given.first("grep") {
        match pattern::Search::new(text) {
            Ok(_) => query.pattern = Some(text.to_owned()),
            Err(unusable) => wrong.push(format!("parameter 'grep': {unusable}")),
        }
    }
    query.follow = given.flag("follow", false)?;
    query.invert = given.flag("invert", false)?;
    let place = request.headers.get("last-event-id").and_then(|it| it.to_str().ok()).or_else(|| given.first("after"));
    if let Some(text) = place {
        match read_place(text) {
            Some(places) => query.after = places,
            None => {
                wrong.push("Last-Event-ID, or parameter 'after', must be an id that this stream has sent".to_owned());
            }
        }
    }
    if !wrong.is_empty() {
        return Err(Error::Argument(wrong.join("; ")));
    }
    if let Some(text) = given.first("deployment") {
        let state = api.state().await?;
        let deployment = text.parse::<DeploymentId>().ok().and_then(|it| state.deployment(it));
        let deployment = deployment.ok_or_else(|| Error::NotFound(format!("There is no deployment '{text}'")))?;
        query.apps.extend(deployment.changes.keys().cloned());
        // What its apps wrote before is not of it.
        query.since_ns = query.since_ns.or(Some(deployment.version.0.saturating_mul(1_000_000)));
    }
    if query.apps.is_empty() && query.group.is_none() && query.instances.is_empty() {
        let what = "say whose lines: parameter 'app', 'group', 'deployment' or 'instance'";
        return Err(Error::Argument(what.to_owned()));
    }
    Ok(query)
}

/// A moment, or a time before `now_ns`.
fn moment_ns(text: &str, now_ns: u64) -> Option<u64> {
    let number = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit_s = match &text[number.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return time::parse_nanos(text),
    };
    let ago: u64 = number.parse::<u64>().ok()?.checked_mul(unit_s)?.checked_mul(1_000_000_000)?;
    Some(now_ns.saturating_sub(ago))
}

fn read_place(text: &str) -> Option<Places> {
    rmp_serde::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn print_place(places: &Places) -> Option<String> {
    let text = URL_SAFE_NO_PAD.encode(rmp_serde::to_vec(places).ok()?);
    (text.len() <= PLACE_BYTES_MAX).then_some(text)
}

/// Tells one reader.
struct Teller<C: ControlPlane> {
    lines: Merged<C>,
    form: Form,
    seated: Option<Seated>,
    api: Api<C>,
}

impl<C: ControlPlane> Teller<C> {
    /// The next bytes to send; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let gone = async {
                match &self.seated {
                    Some(it) => it.gone().await,
                    None => std::future::pending().await,
                }
            };
            let told = tokio::select! {
                () = self.api.shutdown.cancelled() => return None,
                () = gone => return None,
                told = self.lines.next() => told?,
                // To the network a sign of life, to the reader nothing.
                () = tokio::time::sleep(HEARTBEAT), if self.form == Form::Events => {
                    return Some(Bytes::from_static(b": \r\n\r\n"));
                }
            };
            let text = self.print(&told);
            if !text.is_empty() {
                return Some(text.into());
            }
        }
    }

    fn print(&self, told: &Told) -> Vec<u8> {
        match self.form {
            Form::Text { times, names } => text(told, times, names).into_bytes(),
            Form::Json => {
                let mut out = Vec::new();
                for it in &told.lines {
                    serde_json::to_writer(&mut out, &line(it)).expect("our own types print");
                    out.push(b'\n');
                }
                for notice in notices(told) {
                    serde_json::to_writer(&mut out, &v3::LogNoticeLine { notice }).expect("our own types print");
                    out.push(b'\n');
                }
                out
            }
            Form::Events => {
                let lines = told.lines.iter().map(line).collect();
                let data = v3::LogLines { lines, notices: notices(told) };
                let data = serde_json::to_string(&data).expect("our own types print");
                let id = print_place(self.lines.places()).map(|it| format!("id: {it}\r\n")).unwrap_or_default();
                format!("event: lines\r\n{id}data: {data}\r\n\r\n").into_bytes()
            }
        }
    }
}

fn line(it: &Line) -> v3::LoggedLine {
    let source = &it.from.source;
    v3::LoggedLine {
        time: time::print_nanos(it.said.time_ns),
        app: it.from.app.to_string(),
        instance: to_wire::task_id(&it.from.app, source.instance),
        container: (!source.container.is_empty()).then(|| source.container.clone()),
        node: it.node.to_string(),
        stream: it.said.stream.name().to_owned(),
        text: it.said.text.clone(),
    }
}

fn text(told: &Told, times: bool, names: bool) -> String {
    let mut out = String::new();
    for it in &told.lines {
        if times {
            let _ = write!(out, "{} ", time::print_nanos(it.said.time_ns));
        }
        if names {
            let source = &it.from.source;
            let container = if source.container.is_empty() { "" } else { "/" };
            let _ = write!(out, "{}{container}{} ", to_wire::task_id(&it.from.app, source.instance), source.container);
        }
        out.push_str(&it.said.text);
        out.push('\n');
    }
    for it in notices(told) {
        let _ = writeln!(out, "[ekiden] {}", it.message);
    }
    out
}

fn notices(told: &Told) -> Vec<v3::LogNotice> {
    let skipped = told.skipped.iter().map(|it| {
        let lines = it.lines.map_or_else(|| "some lines".to_owned(), |n| format!("{n} lines"));
        v3::LogNotice {
            message: format!("skipped {lines} of {}: {}", it.source.instance, it.reason),
            instance: Some(it.source.instance.to_string()),
            node: None,
            lines: it.lines,
        }
    });
    let failed = told.failed.iter().map(|(node, reason)| v3::LogNotice {
        message: format!("lines of node {node} may be missing: {reason}"),
        instance: None,
        node: Some(node.to_string()),
        lines: None,
    });
    skipped.chain(failed).collect()
}
