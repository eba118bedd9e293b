//! `ekiden pod list`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Tone};
use crate::text;
use api::v2::PodStatus;
use clap::Args;

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
        let nothing = "There are no pods. `ekiden pod add FILE` makes one.";
        session.list((&list, &value), wanted, (&["ID", "STABLE", "IMAGES", "STATUS", "VERSION"], row), nothing)
    }
}

fn row(session: &Session<'_>, pod: &PodStatus) -> Vec<Cell> {
    let (status, tone) = super::status(pod);
    vec![
        (&pod.id).into(),
        Cell::right(super::counts(pod)),
        super::images(&pod.spec).into(),
        Cell::toned(status, tone),
        Cell::toned(text::age(session.now_ms(), &pod.spec.version), Tone::Muted),
    ]
}
