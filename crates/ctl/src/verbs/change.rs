//! What all verbs that change apps share: sending the change, and following its deployment.

use crate::error::{Error, Kind, Result};
pub(crate) use crate::follow::Wait;
use crate::follow::{self, End, Verdict};
use crate::remote::Request;
use crate::session::Session;
use crate::table::Tone;
use crate::text;
use api::v2::{AppInfo, AppSingle, DeploymentResult};
use api::v3::Evidence;
use serde_json::{Value, json};
use std::time::Duration;

/// A change that the cluster has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// The app, pod or group, with its leading slash.
    pub(crate) app: String,
    /// The deployment that carries it out.
    pub(crate) deployment: String,
    /// The version that the app moves to.
    pub(crate) version: String,
    /// What was done, for people; [`UNCHANGED`] where there was nothing to do.
    pub(crate) did: &'static str,
}

/// The app was already as wanted.
pub(crate) const UNCHANGED: &str = "unchanged";
/// It is wanted like this already, and not yet like this.
const UNDER_WAY: &str = "under way already";

impl Accepted {
    pub(crate) fn new(app: String, result: DeploymentResult, did: &'static str) -> Self {
        Self { app, deployment: result.deployment_id, version: result.version, did }
    }

    /// An app that was already as wanted. Where a deployment is still making it so, that is the one to wait for.
    pub(crate) fn unchanged(app: String, result: DeploymentResult, under_way: Option<&str>) -> Self {
        match under_way {
            Some(id) => Self { deployment: id.to_owned(), ..Self::new(app, result, UNDER_WAY) },
            None => Self::new(app, result, UNCHANGED),
        }
    }

    fn is_unchanged(&self) -> bool {
        self.did == UNCHANGED
    }
}

/// Changes some fields of an app that is there.
pub(crate) async fn put(
    session: &Session<'_>,
    id: &str,
    body: impl Into<String>,
    did: &'static str,
    refine: impl FnOnce(Request) -> Request,
) -> Result<Accepted> {
    let path = format!("/v2/apps{}", text::app_id(id));
    let (before, _) = session.ask::<AppSingle>(Request::get(&path)).await?;
    let (result, _) = session.ask::<DeploymentResult>(refine(Request::put(path, body))).await?;
    let AppInfo { app, deployments, .. } = before.app;
    if result.version == app.version {
        let under_way = deployments.first().map(|it| it.id.as_str());
        return Ok(Accepted::unchanged(app.id, result, under_way));
    }
    Ok(Accepted::new(app.id, result, did))
}

/// Removes what is asked for here, once that is confirmed, and waits for it where that is wanted.
pub(crate) async fn remove(
    session: &mut Session<'_>,
    id: &str,
    request: Request,
    with: &str,
    wait: &Wait,
) -> Result<()> {
    let id = text::app_id(id);
    session.confirm(&format!("Remove {id} and all {with}?"))?;
    let (result, _) = session.ask::<DeploymentResult>(request).await?;
    finish(session, vec![Accepted::new(id, result, "removed")], wait).await
}

/// Says what was accepted and, where that is wanted, waits for its end.
pub(crate) async fn finish(session: &mut Session<'_>, accepted: Vec<Accepted>, wait: &Wait) -> Result<()> {
    session.tell_remarks();
    for it in &accepted {
        session.note(&format!("{}  {}", it.app, it.did));
    }
    let mut ids: Vec<String> =
        accepted.iter().filter(|it| !it.is_unchanged()).map(|it| it.deployment.clone()).collect();
    ids.dedup();
    if wait.is_wanted {
        let ends = follow::follow(session, ids, wait).await?;
        return conclude(session, &accepted, &ends, wait);
    }
    if session.is_json() {
        let result = if ids.is_empty() { UNCHANGED } else { "started" };
        return session.json(&result_json(result, 0, None, &accepted, |_| "started"));
    }
    for id in &ids {
        session.data(&format!("{}\n", text::line(id)))?;
    }
    if let Some(id) = ids.first() {
        session.note(&format!("`ekiden deployment watch {id}` follows it"));
    }
    Ok(())
}

/// Ends a change that no deployment carries out: programs are told the result in one word.
pub(crate) fn done(session: &mut Session<'_>, result: &str) -> Result<()> {
    if session.is_json() {
        return session.json(&result_json(result, 0, None, &[], |_| UNCHANGED));
    }
    Ok(())
}

/// Says how the deployments ended; the first that did not end well decides the exit code.
pub(crate) fn conclude(session: &mut Session<'_>, accepted: &[Accepted], ends: &[End], wait: &Wait) -> Result<()> {
    let is_unchanged = |app: &str| accepted.iter().any(|it| it.app == app && it.is_unchanged());
    for end in ends.iter().filter(|it| it.verdict == Verdict::Succeeded) {
        let took = text::duration(end.took);
        for (app, came_to) in end.apps.iter().filter(|it| !is_unchanged(&it.0)) {
            session.note_toned("✓ ", Tone::Good, &format!("{app} {came_to}  {took}"));
        }
    }
    let failed = ends.iter().find(|it| it.verdict != Verdict::Succeeded);
    let failure = failed.map(|it| failure(it, wait));
    if session.is_json() {
        let word = match failed {
            Some(end) => end.verdict.word(),
            None if ends.is_empty() => UNCHANGED,
            None => Verdict::Succeeded.word(),
        };
        let code = failure.as_ref().map_or(0, |it| it.kind.code());
        let took = ends.iter().map(|it| it.took).max();
        let of = |it: &Accepted| {
            let end = ends.iter().find(|end| end.deployment == it.deployment);
            end.map_or(UNCHANGED, |end| end.verdict.word())
        };
        let mut json = result_json(word, code, took, accepted, of);
        if let Some(end) = failed.filter(|it| !it.evidence.is_empty()) {
            json["evidence"] = json!(end.evidence);
        }
        session.json(&json)?;
    }
    failure.map_or(Ok(()), Err)
}

fn result_json(
    result: &str,
    exit_code: u8,
    took: Option<Duration>,
    accepted: &[Accepted],
    of: impl Fn(&Accepted) -> &'static str,
) -> Value {
    let changes = accepted.iter().map(|it| {
        let mut change = json!({
            "app": it.app,
            "change": it.did,
            "version": it.version,
            "deploymentId": it.deployment,
            "result": if it.is_unchanged() { UNCHANGED } else { of(it) },
        });
        // A pod's removal is told without a version, and what was not asked for has no deployment.
        if let Some(fields) = change.as_object_mut() {
            fields.retain(|_, it| it != "");
        }
        change
    });
    let changes: Vec<_> = changes.collect();
    let mut json = json!({ "kind": "Result/v1", "result": result, "exitCode": exit_code, "changes": changes });
    if let Some(took) = took {
        json["seconds"] = json!((took.as_millis() as f64) / 1000.0);
    }
    json
}

fn failure(end: &End, wait: &Wait) -> Error {
    let apps: Vec<_> = end.apps.iter().map(|it| it.0.as_str()).collect();
    let app = if apps.is_empty() { format!("deployment {}", end.deployment) } else { apps.join(", ") };
    let id = &end.deployment;
    let err = match &end.verdict {
        // Never asked for.
        Verdict::Succeeded => Error::new(Kind::Unexpected, format!("{app} is done")),
        Verdict::TimedOut => {
            let waited = text::duration(wait.timeout);
            Error::new(Kind::TimedOut, format!("{app} is not done after {waited}; the deployment goes on"))
        }
        Verdict::CannotPlace => {
            let what = format!("{app}: no node takes what is wanted; the deployment goes on and waits for room");
            Error::new(Kind::CannotPlace, what)
        }
        Verdict::InstanceFailed => {
            Error::new(Kind::Failed, format!("{app}: an instance failed; the deployment goes on and tries again"))
        }
        Verdict::Failed => Error::new(Kind::Failed, format!("{app}: the deployment failed")),
        Verdict::RolledBack(by) => {
            Error::new(Kind::RolledBack, format!("{app}: the deployment was rolled back")).detail(by_line(by.as_ref()))
        }
        Verdict::Superseded(by) => {
            Error::new(Kind::Overtaken, format!("{app}: a newer deployment took over")).detail(by_line(by.as_ref()))
        }
        Verdict::Cancelled => Error::new(Kind::Overtaken, format!("{app}: the deployment was cancelled"))
            .detail("what it had done by then stays"),
    };
    let why = end.reasons.iter().map(|it| format!("why: {it}"));
    let evidence = end.evidence.iter().flat_map(evidence_lines);
    if !end.verdict.goes_on() {
        return why.chain(evidence).fold(err, Error::detail);
    }
    let last = end.apps.iter().map(|(app, count)| format!("last seen: {app} {count}"));
    let hint = format!("`ekiden deployment watch {id}` follows it, `ekiden deployment rollback {id}` takes it back");
    last.chain(why).chain(evidence).fold(err, Error::detail).hint(hint)
}

/// How an instance failed, and the last that it wrote.
pub(crate) fn evidence_lines(it: &Evidence) -> Vec<String> {
    let mut lines = vec![format!("last failure of {} on {}: {}", it.app, it.node, it.message)];
    let mut facts = Vec::new();
    facts.extend(it.container.as_ref().map(|it| format!("container {it}")));
    facts.extend(it.exit_code.map(|it| format!("exit code {it}")));
    facts.extend(it.signal.as_ref().map(|it| format!("signal {it}")));
    facts.extend(it.out_of_memory.then(|| "out of memory".to_owned()));
    if !facts.is_empty() {
        lines.push(format!("  {}", facts.join(", ")));
    }
    lines.extend(it.error.as_ref().map(|it| format!("  Docker: {it}")));
    if let Some(health) = &it.health {
        let body = health.body.as_ref().map(|it| format!(": {}", it.trim_end())).unwrap_or_default();
        lines.push(format!("  last health check: {}{body}", health.cause));
    }
    lines.extend(it.missing.as_ref().map(|it| format!("  {it}")));
    if !it.lines.is_empty() {
        let (n, all) = (it.lines.len(), it.lines.len() + it.more_lines as usize);
        lines.push(format!("  last lines of {} ({n} of {all}):", it.task));
        lines.extend(it.lines.iter().map(|it| format!("    {}  {}", clock_of(&it.at), it.text)));
    }
    lines
}

/// The time of day of a moment, to the second: `2026-11-28T06:12:01.123456789Z` is `06:12:01`.
fn clock_of(at: &str) -> &str {
    at.split_once('T').and_then(|(_, it)| it.get(..8)).unwrap_or(at)
}

fn by_line(by: Option<&String>) -> String {
    by.map_or_else(|| "by a deployment that is no longer known".to_owned(), |it| format!("by deployment {it}"))
}
