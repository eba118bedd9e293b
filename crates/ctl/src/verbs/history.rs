//! Versions from before, of apps, groups and pods alike.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Table, Tone};
use crate::text;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Prints a definition as it was: what stands at the path of a version.
pub(super) async fn definition(session: &mut Session<'_>, path: String) -> Result<()> {
    let (_, value) = session.ask::<Value>(Request::get(path)).await?;
    session.json(&value)
}

/// Prints a table of these versions, the newest first, of which one is `current`. `path` leads to a version; each is
/// shown in `columns` by its `cells`.
pub(super) async fn table<T: DeserializeOwned>(
    session: &mut Session<'_>,
    versions: &[String],
    current: &str,
    path: impl Fn(&str) -> String,
    (columns, cells): (&[&'static str], impl Fn(T) -> Vec<Cell>),
) -> Result<()> {
    let mut table = Table::new(&[&["VERSION", "AGE"], columns, &[""]].concat());
    for version in versions {
        let (then, _) = session.ask::<T>(Request::get(path(version))).await?;
        let mut row = vec![version.into(), Cell::right(text::age(session.now_ms(), version))];
        row.extend(cells(then));
        row.push(Cell::toned(if version == current { "current" } else { "" }, Tone::Good));
        table.row(row);
    }
    session.table(&table, "There are no versions.")
}
