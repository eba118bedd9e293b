//! `ekiden leader show`.

use crate::error::{Error, Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use api::v2::LeaderInfo;
use clap::Args;

/// Print which member leads: the address of its API.
#[derive(Clone, Debug, Args)]
pub struct Show {}

impl Show {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let asked = session.ask::<LeaderInfo>(Request::get("/v2/leader")).await;
        let (info, value) = asked.map_err(|err| match err.kind {
            Kind::NotFound => Error { kind: Kind::Unreachable, ..err },
            _ => err,
        })?;
        if session.is_json() {
            return session.json(&value);
        }
        session.data(&format!("{}\n", text::line(&info.leader)))
    }
}
