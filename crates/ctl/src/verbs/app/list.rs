//! `ekiden app list`.

use crate::error::Result;
use crate::follow::declines_everywhere;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Table, Tone};
use crate::text;
use api::v2::{AppInfo, AppList, Queue, QueueItem};
use clap::Args;

/// List apps.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only apps whose id contains this
    id: Option<String>,
    /// Only apps with labels such as `team==pay,tier in (web,api)`
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    label: Option<String>,
}

impl List {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let mut request = Request::get("/v2/apps");
        if let Some(id) = &self.id {
            request = request.with("id", id);
        }
        if let Some(label) = &self.label {
            request = request.with("label", label);
        }
        let (list, value) = session.ask::<AppList>(request).await?;
        if session.is_json() {
            return session.json(&value["apps"]);
        }
        let queue =
            session.ask_if_there::<Queue>(Request::get("/v2/queue")).await?.map_or_else(Queue::default, |it| it.0);
        let mut table = Table::new(&["ID", "RUNNING", "HEALTHY", "CPUS", "MEM", "IMAGE", "STATUS", "VERSION"]);
        for app in &list.apps {
            table.row(row(app, waits(&queue, &app.app.id), session.now_ms()));
        }
        session.table(&table, "There are no apps. `ekiden deploy FILE` makes one.")
    }
}

fn row(info: &AppInfo, waits: Option<&QueueItem>, now_ms: u64) -> Vec<Cell> {
    let app = &info.app;
    let healthy = if app.health_checks.is_empty() { "-".to_owned() } else { info.tasks_healthy.to_string() };
    let (status, tone) = status(info, waits);
    vec![
        (&app.id).into(),
        Cell::right(format!("{}/{}", info.tasks_running, app.instances)),
        Cell::right(healthy),
        Cell::right(text::number(app.cpus.0)),
        Cell::right(text::mebibytes(app.mem.0)),
        image(info).into(),
        Cell::toned(status, tone),
        Cell::toned(text::age(now_ms, &app.version), Tone::Muted),
    ]
}

/// The image of an app, if it names one.
pub(super) fn image(info: &AppInfo) -> &str {
    let docker = info.app.container.as_ref().and_then(|it| it.docker.as_ref());
    docker.map_or("-", |it| &it.image)
}

/// How an app is in one word; Marathon's words.
pub(super) fn status(info: &AppInfo, waits: Option<&QueueItem>) -> (&'static str, Tone) {
    match waits {
        Some(it) if !it.delay.overdue => return ("Delayed", Tone::Bad),
        Some(it) if declines_everywhere(it) => return ("Waiting", Tone::Busy),
        _ => {}
    }
    let has_checks = !info.app.health_checks.is_empty();
    if !info.deployments.is_empty() {
        ("Deploying", Tone::Busy)
    } else if info.app.instances == 0 {
        ("Suspended", Tone::Muted)
    } else if info.tasks_running < info.app.instances || (has_checks && info.tasks_healthy < info.app.instances) {
        ("Degraded", Tone::Bad)
    } else {
        ("Running", Tone::Good)
    }
}

/// The app's place in the queue, if it waits.
pub(super) fn waits<'a>(queue: &'a Queue, app: &str) -> Option<&'a QueueItem> {
    queue.queue.iter().find(|it| it.id() == app)
}
