//! `ekiden node list`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Tone};
use crate::text;
use api::v3;
use clap::Args;

/// List nodes: what they have, what of it is used, and whether they take instances.
#[derive(Clone, Debug, Args)]
pub struct List {}

impl List {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (list, value) = session.ask::<v3::NodeList>(Request::get("/v3/nodes")).await?;
        let rows = (&["NAME", "STATUS", "CPUS", "MEM", "INSTANCES", "ADDRESS", ""][..], row);
        let nothing = "There are no nodes. `ekiden agent` makes one of a machine.";
        session.list((&list.nodes, &value["nodes"]), |_| true, rows, nothing)
    }
}

fn row(_: &Session<'_>, node: &v3::Node) -> Vec<Cell> {
    let tone = match node.status.as_str() {
        "ready" => Tone::Good,
        "degraded" => Tone::Busy,
        _ => Tone::Bad,
    };
    vec![
        (&node.name).into(),
        Cell::toned(&node.status, tone),
        Cell::right(format!("{}/{}", text::number(node.used.cpus.0), text::number(node.capacity.cpus.0))),
        Cell::right(format!("{}/{}", text::mebibytes(node.used.mem.0), text::mebibytes(node.capacity.mem.0))),
        Cell::right(node.n_instances.to_string()),
        (&node.address).into(),
        node.reason.as_deref().unwrap_or_default().into(),
    ]
}
