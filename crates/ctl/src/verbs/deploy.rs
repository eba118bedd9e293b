//! `ekiden deploy`.

use super::change::{self, Accepted, Wait};
use crate::diff;
use crate::error::{Error, Kind, Result};
use crate::file::{self, Source};
use crate::remote::Request;
use crate::session::Session;
use api::v2::{AppSingle, DeploymentResult};
use clap::Args;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Make apps as their files say: create them, update them, or leave them as they are.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Deploy {
    /// Marathon JSON: one app, or a list of apps; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Take over from deployments under way
    #[arg(long)]
    force: bool,
    /// Refuse fields that have no effect, such as mistyped ones, instead of warning of them
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    wait: Wait,
}

const AFTER_HELP: &str = "\
A file is the whole truth about an app: a field that is not in it takes its default. All apps of one call go into one \
deployment, and either all are accepted or none.";

impl Deploy {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let sources = self.files.iter().map(|it| file::apps(session, it)).collect::<Result<Vec<_>>>()?;
        let ids = distinct(&sources)?;
        let files: Vec<_> = sources.iter().map(|it| it.file.as_str()).collect();
        let before = all(session, &ids).await.map_err(|err| file::blame(err, &files.join(", ")))?;
        let result = self.put(session, &sources).await?;
        let after = all(session, &ids).await?;

        let mut accepted = Vec::new();
        for id in ids {
            let did = match (before.get(&id), after.get(&id)) {
                (None, _) => "created",
                (Some(before), Some(after)) if before["version"] == after["version"] => {
                    let under_way = after["deployments"][0]["id"].as_str();
                    accepted.push(Accepted::unchanged(id, result.clone(), under_way));
                    continue;
                }
                (Some(before), Some(after)) => {
                    Self::tell(session, &id, before, after);
                    "updated"
                }
                (Some(_), None) => "updated",
            };
            accepted.push(Accepted::new(id, result.clone(), did));
        }
        change::finish(session, accepted, &self.wait).await
    }

    /// One app goes to its own resource, where refusals name places inside it; more go together.
    async fn put(&self, session: &Session<'_>, sources: &[Source]) -> Result<DeploymentResult> {
        let texts: Vec<_> = sources.iter().map(|it| it.text.as_str()).collect();
        let request = match sources {
            [Source { ids, text, .. }] if ids.len() == 1 => Request::put(format!("/v2/apps{}", ids[0]), text.clone()),
            _ => Request::put("/v2/apps", format!("[{}]", texts.join(",\n"))),
        };
        let request =
            request.with("partialUpdate", "false").with_flag("force", self.force).with_flag("strict", self.strict);
        let files: Vec<_> = sources.iter().map(|it| it.file.as_str()).collect();
        let answer = session.ask::<DeploymentResult>(request).await;
        Ok(answer.map_err(|err| file::blame(err, &files.join(", ")))?.0)
    }

    fn tell(session: &mut Session<'_>, id: &str, before: &Value, after: &Value) {
        for line in diff::lines(before, after) {
            session.note(&format!("{id}  {line}"));
        }
    }
}

fn distinct(sources: &[Source]) -> Result<Vec<String>> {
    let mut seen = BTreeSet::new();
    for source in sources {
        for id in &source.ids {
            if !seen.insert(id.clone()) {
                return Err(Error::new(Kind::Invalid, format!("{id} is there twice")).at(&source.file));
            }
        }
    }
    Ok(sources.iter().flat_map(|it| it.ids.clone()).collect())
}

/// Those of the apps that are there, as printed. An id that is none has no app; what is wrong with it, and with all
/// else in its file, is told when the file is sent.
async fn all(session: &Session<'_>, ids: &[String]) -> Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for id in ids {
        let request = Request::get(format!("/v2/apps{id}"));
        match session.ask_if_there::<AppSingle>(request).await {
            Ok(None) => {}
            Ok(Some((_, mut value))) => {
                found.insert(id.clone(), value["app"].take());
            }
            Err(err) if err.kind == Kind::Invalid => {}
            Err(err) => return Err(err),
        }
    }
    Ok(found)
}
