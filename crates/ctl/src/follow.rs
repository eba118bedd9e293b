//! Deployments, watched until they end or until nobody wants to wait any longer.

use crate::error::{Error, Kind, Result};
use crate::progress::Progress;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use api::v2::{AppInfo, AppSingle, PodStatus, Queue, QueueItem};
use api::v3::{Change, Evidence, InstanceCounts};
use clap::Args;
use std::time::Duration;
use tokio::time::Instant;

/// How to wait for a deployment's end.
#[derive(Clone, Debug, Args)]
pub(crate) struct Wait {
    /// Wait until the deployment has ended, and show how far it is
    #[arg(id = "wait", short, long)]
    pub(crate) is_wanted: bool,
    /// Wait so long at most; the deployment itself goes on
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = text::parse_duration)]
    pub(crate) timeout: Duration,
    /// Do not wait for better times: end as soon as an instance fails or no node takes one
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

/// How a deployment ended for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every change is as wanted.
    Succeeded,
    /// The server gave up.
    Failed,
    /// Taken back by this deployment.
    RolledBack(Option<String>),
    /// Overtaken by this deployment.
    Superseded(Option<String>),
    /// Ended by a user where it stood.
    Cancelled,
    /// It goes on: we waited long enough.
    TimedOut,
    /// It goes on: no node takes what it wants.
    CannotPlace,
    /// It goes on: an instance failed, and we did not want to wait for another.
    InstanceFailed,
}

impl Verdict {
    /// The word for programs.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack(_) => "rolled_back",
            Self::Superseded(_) => "superseded",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::CannotPlace => "cannot_place",
            Self::InstanceFailed => "instance_failed",
        }
    }

    /// Whether the deployment itself is still under way.
    pub(crate) const fn goes_on(&self) -> bool {
        matches!(self, Self::TimedOut | Self::CannotPlace | Self::InstanceFailed)
    }
}

/// A watched deployment's end.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) deployment: String,
    /// The version that its apps move to.
    pub(crate) version: String,
    pub(crate) verdict: Verdict,
    /// The apps that it changes, and what each came to: `is live  3/3 healthy`.
    pub(crate) apps: Vec<(String, String)>,
    /// What it waited for last.
    pub(crate) reasons: Vec<String>,
    /// How instances of it failed, and what they left behind.
    pub(crate) evidence: Vec<Evidence>,
    /// From the first look to the end.
    pub(crate) took: Duration,
}

/// So many looks more are taken at a deployment that failed, until what its instances left behind is there: their agents
/// have it milliseconds after their end.
const EVIDENCE_LOOKS: u32 = 10;

/// Watches deployments until all have ended, or the time is over.
pub(crate) async fn follow(session: &mut Session<'_>, ids: Vec<String>, wait: &Wait) -> Result<Vec<End>> {
    let began_at = Instant::now();
    let began_ms = session.now_ms();
    let mut progress = Progress::new(session);
    let mut watched: Vec<Watched> = ids.into_iter().map(Watched::new).collect();
    let mut look = session.pace().look;
    loop {
        session.set_following(watched.iter().filter(|it| it.verdict.is_none()).map(|it| it.id.clone()));
        for it in watched.iter_mut().filter(|it| it.verdict.is_none()) {
            it.look(session, wait).await?;
            it.took = Duration::from_millis(session.now_ms().saturating_sub(began_ms));
        }
        if watched.iter().all(|it| it.verdict.is_some()) {
            break;
        }
        let left = wait.timeout.saturating_sub(began_at.elapsed());
        if left.is_zero() {
            let queue = queue(session).await;
            watched.iter_mut().filter(|it| it.verdict.is_none()).for_each(|it| it.give_up(&queue));
            break;
        }
        show(session, &mut progress, &watched);
        tokio::time::sleep(look.min(left)).await;
        look = (look + session.pace().look / 16).min(session.pace().look * 6);
    }
    // The last state is a line of its own where lines are kept.
    if !session.draws_in_place() {
        show(session, &mut progress, &watched);
    }
    progress.clear(session);
    session.set_following([]);
    Ok(watched.into_iter().map(Watched::end).collect())
}

fn show(session: &mut Session<'_>, progress: &mut Progress, watched: &[Watched]) {
    let apps: Vec<&AppSeen> = watched.iter().flat_map(|it| &it.apps).filter(|it| !it.count.is_empty()).collect();
    let lines: Vec<String> = match apps[..] {
        [one] => vec![one.count.clone()],
        _ => apps.iter().map(|it| format!("{}  {}", it.id, it.count)).collect(),
    };
    let reasons: Vec<String> = watched.iter().flat_map(|it| it.reasons.iter().chain(&it.silent)).cloned().collect();
    progress.show(session, &lines, &reasons);
}

async fn queue(session: &Session<'_>) -> Queue {
    session.ask::<Queue>(Request::get("/v2/queue")).await.map_or_else(|_| Queue::default(), |it| it.0)
}

/// One deployment under watch.
struct Watched {
    id: String,
    version: String,
    apps: Vec<AppSeen>,
    reasons: Vec<String>,
    /// Why the last look failed, if it did.
    silent: Option<String>,
    verdict: Option<Verdict>,
    evidence: Vec<Evidence>,
    /// So many looks are left for it.
    looks_left: u32,
    took: Duration,
}

/// An app of a watched deployment, as last seen.
struct AppSeen {
    id: String,
    /// `2/3 healthy`.
    count: String,
    /// What it is in the end: `is live`, `is removed`.
    done: &'static str,
    /// A failure since the deployment began.
    failure: Option<String>,
}

impl Watched {
    fn new(id: String) -> Self {
        let (version, silent, verdict) = (String::new(), None, None);
        let (apps, reasons, evidence) = (Vec::new(), Vec::new(), Vec::new());
        let (looks_left, took) = (EVIDENCE_LOOKS, Duration::ZERO);
        Self { id, version, apps, reasons, silent, verdict, evidence, looks_left, took }
    }

    /// Asks how far it is. A cluster that does not answer now, as while it elects a leader, is asked again.
    async fn look(&mut self, session: &Session<'_>, wait: &Wait) -> Result<()> {
        match self.try_look(session, wait).await {
            Ok(()) => self.silent = None,
            Err(err) if matches!(err.kind, Kind::Unreachable | Kind::Temporary) => self.silent = Some(err.what),
            Err(err) => return Err(err),
        }
        Ok(())
    }

    async fn try_look(&mut self, session: &Session<'_>, wait: &Wait) -> Result<()> {
        let request = Request::get(format!("/v3/deployments/{}", self.id));
        let (seen, _) = session.ask::<api::v3::Deployment>(request).await.map_err(unknown)?;
        let mut apps = Vec::new();
        for change in &seen.changes {
            apps.push(look_at_app(session, change, &seen.version).await?);
        }
        self.reasons = match &apps[..] {
            // Who asks for one app knows which it is.
            [one] => seen.waiting.iter().map(|it| without_name(it, &one.id)).collect(),
            _ => seen.waiting,
        };
        self.apps = apps;
        self.version = seen.version;
        self.evidence = seen.evidence;
        self.verdict = verdict(&seen.status, seen.by);
        if wait.fail_fast && self.verdict.is_none() {
            if self.apps.iter().any(|it| it.failure.is_some()) {
                self.verdict = Some(Verdict::InstanceFailed);
            } else if self.cannot_place(&queue(session).await) {
                self.verdict = Some(Verdict::CannotPlace);
            }
        }
        let has_failed = seen.status == "failed" || self.verdict == Some(Verdict::InstanceFailed);
        if has_failed && !self.evidence.iter().any(is_told) && self.looks_left > 0 {
            self.looks_left -= 1;
            self.verdict = None;
        }
        Ok(())
    }

    fn give_up(&mut self, queue: &Queue) {
        self.verdict = Some(if self.cannot_place(queue) { Verdict::CannotPlace } else { Verdict::TimedOut });
    }

    /// Whether an app of it waits for nothing but a node that takes an instance.
    fn cannot_place(&self, queue: &Queue) -> bool {
        let ours = queue.queue.iter().filter(|it| self.apps.iter().any(|app| app.id == it.id()));
        ours.filter(|it| it.delay.overdue).any(declines_everywhere)
    }

    fn end(self) -> End {
        let verdict = self.verdict.unwrap_or(Verdict::TimedOut);
        let failures = self.apps.iter().filter_map(|it| it.failure.clone());
        let failures = failures.filter(|_| self.reasons.is_empty() && verdict.goes_on());
        let reasons = self.reasons.iter().cloned().chain(failures).chain(self.silent).collect();
        let apps = self.apps.into_iter().map(|it| {
            let done = if verdict == Verdict::Succeeded { it.done } else { "" };
            let gap = if done.is_empty() || it.count.is_empty() { "" } else { "  " };
            (it.id, format!("{done}{gap}{}", it.count))
        });
        let apps = apps.collect();
        let evidence = if verdict == Verdict::Succeeded { Vec::new() } else { self.evidence };
        End { deployment: self.id, version: self.version, verdict, apps, reasons, evidence, took: self.took }
    }
}

fn without_name(sentence: &str, app: &str) -> String {
    let rest = sentence.strip_prefix(app).and_then(|it| it.strip_prefix(": "));
    rest.unwrap_or(sentence).to_owned()
}

fn unknown(err: Error) -> Error {
    if err.kind == Kind::NotFound { err.hint("`ekiden deployment list --all` shows which are known") } else { err }
}

/// Whether more than that it failed is known.
fn is_told(it: &Evidence) -> bool {
    !it.lines.is_empty() || it.exit_code.is_some() || it.missing.is_some()
}

/// What a status means; none while the deployment is under way.
fn verdict(status: &str, by: Option<String>) -> Option<Verdict> {
    Some(match status {
        "running" => return None,
        "succeeded" => Verdict::Succeeded,
        "rolledBack" => Verdict::RolledBack(by),
        "failed" if by.is_some() => Verdict::RolledBack(by),
        "superseded" => Verdict::Superseded(by),
        "cancelled" => Verdict::Cancelled,
        _ => Verdict::Failed,
    })
}

async fn look_at_app(session: &Session<'_>, change: &Change, version: &str) -> Result<AppSeen> {
    let found = session.ask_if_there::<AppSingle>(Request::get(format!("/v2/apps{}", change.app))).await?;
    let id = change.app.clone();
    let removes = change.to.is_none();
    if found.is_none()
        && !removes
        && let Some(seen) = look_at_pod(session, change, version).await?
    {
        return Ok(seen);
    }
    let Some((single, _)) = found else {
        let done = if removes { "is removed" } else { "is gone" };
        return Ok(AppSeen { id, count: String::new(), done, failure: None });
    };
    let info = single.app;
    if removes {
        let n = change.instances.map_or(info.tasks_running, |it| it.new_running + it.old);
        return Ok(AppSeen { id, count: format!("{n} still running"), done: "is removed", failure: None });
    }
    let failure = info.last_task_failure.as_ref().filter(|it| it.timestamp.as_str() >= version);
    let failure = failure.map(|it| format!("last failure on {}: {}", it.host, it.message));
    let done = if info.app.instances == 0 { "is stopped" } else { "is live" };
    Ok(AppSeen { id, count: count(&info, change.instances), done, failure })
}

/// A pod, which is no app.
async fn look_at_pod(session: &Session<'_>, change: &Change, version: &str) -> Result<Option<AppSeen>> {
    let request = Request::get(format!("/v2/pods{}::status", change.app));
    let Some((pod, _)) = session.ask_if_there::<PodStatus>(request).await? else { return Ok(None) };
    let wanted = pod.spec.scaling.instances;
    let stable = pod.instances.iter().filter(|it| it.status == "STABLE").count() as u32;
    let has_checks = pod.spec.containers.iter().any(|it| it.health_check.is_some());
    let failures = pod.termination_history.iter().filter(|it| it.terminated_at.as_str() >= version);
    let failure = failures.filter_map(|it| it.message.as_ref()).next_back().map(|it| format!("last failure: {it}"));
    let done = if wanted == 0 { "is stopped" } else { "is live" };
    let count = counted(has_checks, change.instances, (stable, wanted));
    Ok(Some(AppSeen { id: change.app.clone(), count, done, failure }))
}

/// `2/3 healthy`, and how many old ones are still there. Where instances are replaced only new ones count.
fn count(info: &AppInfo, counts: Option<InstanceCounts>) -> String {
    let has_checks = !info.app.health_checks.is_empty();
    let seen = if has_checks { info.tasks_healthy } else { info.tasks_running };
    counted(has_checks, counts, (seen, info.app.instances))
}

fn counted(has_checks: bool, counts: Option<InstanceCounts>, seen: (u32, u32)) -> String {
    let word = if has_checks { "healthy" } else { "running" };
    let (n, wanted, old) = counts.map_or((seen.0, seen.1, 0), |it| (it.new_serving, it.wanted, it.old));
    let old = if old == 0 { String::new() } else { format!(", {old} old") };
    format!("{n}/{wanted} {word}{old}")
}

/// Whether no node takes an instance.
pub(crate) fn declines_everywhere(item: &QueueItem) -> bool {
    let summary = &item.processed_offers_summary;
    let declined: u32 = summary.reject_summary_last_offers.iter().flatten().map(|it| it.declined).sum();
    f64::from(declined) >= summary.processed_offers_count.0
}
