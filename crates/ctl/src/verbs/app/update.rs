//! `ekiden app update`.

use crate::error::{Error, Kind, Result};
use crate::file;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Wait};
use clap::Args;
use serde_json::{Map, Value};

/// Fields that are text even where their value looks like a number.
const TEXTS: [&str; 6] = ["cmd", "user", "version", "killSelection", "executor", "role"];

/// Change an app by key=value, or from a file.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Update {
    /// The app, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// What to change
    #[arg(value_name = "KEY=VALUE")]
    properties: Vec<String>,
    /// Marathon JSON with the fields to change; `-`, the default without KEY=VALUE, is stdin
    #[arg(short, long, conflicts_with = "properties")]
    file: Option<String>,
    /// Take over from a deployment under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

const AFTER_HELP: &str = "\
Keys are paths in the app's definition: cpus=0.5 instances=3 env.FOO=bar healthChecks.0.path=/ok image=web:2. Values \
are JSON where they can be read as such, and text otherwise; null takes an entry out.";

impl Update {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let body = if self.properties.is_empty() {
            file::changes(session, self.file.as_deref())?
        } else {
            self.assigned(session).await?
        };
        let accepted = change::put(session, &self.id, body, "updated", |it| it.with_flag("force", self.force)).await?;
        change::finish(session, vec![accepted], &self.wait).await
    }

    async fn assigned(&self, session: &Session<'_>) -> Result<String> {
        let (_, now) = session.ask::<Value>(Request::get(super::path(&self.id))).await?;
        assigned(&self.properties, &now["app"])
    }
}

/// What is assigned, merged with what is there: the API replaces top-level fields as a whole.
pub(in crate::verbs) fn assigned(properties: &[String], now: &Value) -> Result<String> {
    let assignments = properties.iter().map(|it| Assignment::parse(it)).collect::<Result<Vec<_>>>()?;
    let mut changed = Map::new();
    for it in &assignments {
        let top = it.path[0].clone();
        let field = changed.entry(&top).or_insert_with(|| now.get(&top).cloned().unwrap_or_default());
        it.assign(field)?;
    }
    Ok(Value::Object(changed).to_string())
}

/// One `key=value`.
struct Assignment {
    typed: String,
    path: Vec<String>,
    value: Value,
}

impl Assignment {
    fn parse(typed: &str) -> Result<Self> {
        let wrong =
            |why: &str| Error::new(Kind::Usage, format!("`{typed}` {why}")).hint("write cpus=0.5 or env.FOO=bar");
        let (key, value) = typed.split_once('=').ok_or_else(|| wrong("is no KEY=VALUE"))?;
        let key = if key == "image" { "container.docker.image" } else { key };
        // Names of variables and labels may have dots themselves.
        let path: Vec<String> = match key.split_once('.') {
            Some((map @ ("env" | "labels"), name)) => vec![map.to_owned(), name.to_owned()],
            _ => key.split('.').map(str::to_owned).collect(),
        };
        if path.iter().any(String::is_empty) {
            return Err(wrong("has an empty key"));
        }
        let is_text = path.len() == 2 && matches!(path[0].as_str(), "env" | "labels") || TEXTS.contains(&key);
        let read: Option<Value> = serde_json::from_str(value).ok();
        let value = match read {
            Some(it @ (Value::String(_) | Value::Null | Value::Object(_))) if is_text => it,
            Some(it) if !is_text => it,
            _ => Value::String(value.to_owned()),
        };
        Ok(Self { typed: typed.to_owned(), path, value })
    }

    /// Puts the value at its place inside the top-level field.
    fn assign(&self, field: &mut Value) -> Result<()> {
        let mut at = field;
        for (n, name) in self.path.iter().enumerate().skip(1) {
            let is_last = n + 1 == self.path.len();
            if let Value::Array(items) = at {
                let length = items.len();
                let item = name.parse().ok().and_then(|it: usize| items.get_mut(it));
                at = item.ok_or_else(|| self.nowhere(name, &format!("there are {length}, counted from 0")))?;
                continue;
            }
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            let Value::Object(fields) = at else {
                return Err(self.nowhere(name, "its parent is no object"));
            };
            if is_last && self.value.is_null() {
                fields.shift_remove(name);
                return Ok(());
            }
            at = fields.entry(name).or_insert(Value::Null);
        }
        *at = self.value.clone();
        Ok(())
    }

    fn nowhere(&self, name: &str, why: &str) -> Error {
        Error::new(Kind::Usage, format!("`{}`: there is no place `{name}`: {why}", text::line(&self.typed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(typed: &str, mut field: Value, expect: Result<Value, &str>) {
        let done = Assignment::parse(typed).and_then(|it| it.assign(&mut field)).map(|()| field);
        match (done, expect) {
            (Ok(done), Ok(expect)) => assert_eq!(done, expect, "{typed}"),
            (Err(err), Err(expect)) => assert!(err.what.contains(expect), "{typed}: {}", err.what),
            (done, _) => panic!("{typed}: {done:?}"),
        }
    }

    #[test]
    fn an_assignment_changes_one_place_and_keeps_the_rest() {
        check("cpus=0.5", json!(1), Ok(json!(0.5)));
        check("env.FOO=5", json!({"A": "b"}), Ok(json!({"A": "b", "FOO": "5"})));
        check("env.FOO=", json!(null), Ok(json!({"FOO": ""})));
        check("env.A=null", json!({"A": "b"}), Ok(json!({})));
        check("labels.traefik.enable=true", json!({}), Ok(json!({"traefik.enable": "true"})));
        check("image=web:2", json!({"docker": {"image": "web:1"}}), Ok(json!({"docker": {"image": "web:2"}})));
        check("healthChecks.1.path=/ok", json!([{}, {"path": "/"}]), Ok(json!([{}, {"path": "/ok"}])));
        check("args=[\"-v\"]", json!(null), Ok(json!(["-v"])));
        check("cmd=5", json!("x"), Ok(json!("5")));
        check("user=nobody", json!(null), Ok(json!("nobody")));
    }

    #[test]
    fn an_assignment_without_a_place_says_so() {
        check("cpus", json!(1), Err("is no KEY=VALUE"));
        check("=1", json!(1), Err("empty key"));
        check("env.=1", json!(1), Err("empty key"));
        check("healthChecks.1.path=/ok", json!([{}]), Err("there are 1"));
        check("cpus.x=1", json!(1), Err("no object"));
    }
}
