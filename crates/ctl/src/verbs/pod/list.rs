//! `ekiden pod list`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Table, Tone};
use crate::text;
use api::v2::PodStatus;
use clap::Args;
use serde_json::Value;

/// List pods.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only pods whose id contains this
    id: Option<String>,
}

impl List {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (list, value) = session.ask::<Vec<PodStatus>>(Request::get("/v2/pods::status")).await?;
        let wanted = |it: &PodStatus| self.id.as_ref().is_none_or(|id| it.id.contains(id.as_str()));
        if session.is_json() {
            let all = value.as_array().into_iter().flatten().zip(&list);
            let all: Vec<&Value> = all.filter(|(_, it)| wanted(it)).map(|(value, _)| value).collect();
            return session.json(&all);
        }
        let mut table = Table::new(&["ID", "STABLE", "IMAGES", "STATUS", "VERSION"]);
        for pod in list.iter().filter(|it| wanted(it)) {
            let (status, tone) = super::status(pod);
            table.row(vec![
                (&pod.id).into(),
                Cell::right(super::counts(pod)),
                super::images(&pod.spec).into(),
                Cell::toned(status, tone),
                Cell::toned(text::age(session.now_ms(), &pod.spec.version), Tone::Muted),
            ]);
        }
        session.table(&table, "There are no pods. `ekiden pod add FILE` makes one.")
    }
}
