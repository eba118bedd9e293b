//! Log levels, looked at and changed.

use super::world::World;
use crate::Config;
use crate::logging::{Level, Logging};
use crate::testing::Fake;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Levels that nobody logs by.
#[derive(Debug, Default)]
pub(super) struct Levels(Mutex<BTreeMap<String, (String, Option<Duration>)>>);

impl Logging for Levels {
    fn levels(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap().iter().map(|(logger, (level, _))| (logger.clone(), level.clone())).collect()
    }

    fn set(&self, logger: &str, level: Level, lasts: Option<Duration>) -> Result<(), String> {
        if logger == "secret" {
            return Err("it could show tokens".to_owned());
        }
        self.0.lock().unwrap().insert(logger.to_owned(), (level.name().to_owned(), lasts));
        Ok(())
    }
}

#[tokio::test]
async fn levels_are_shown_and_set() {
    let levels = Arc::new(Levels::default());
    let config = Config { logging: Some(Arc::<Levels>::clone(&levels)), ..Config::default() };
    let world = World::with(Fake::new(), config);
    assert_eq!(world.ask("GET /logging", Value::Null).await.json(), json!({}));
    let change = json!({ "level": "DEBUG", "logger": "scheduler", "durationSeconds": 60 });
    let set = world.ask("POST /logging", change).await;
    let answer = json!({ "level": "debug", "logger": "scheduler", "durationSeconds": 60 });
    assert_eq!((set.status, set.json()), (200, answer));
    let set = world.ask("POST /logging", json!({ "level": "off", "logger": "ROOT", "durationSeconds": null })).await;
    assert_eq!((set.status, set.json()), (200, json!({ "level": "off", "logger": "ROOT" })));
    let shown = world.ask("GET /logging", Value::Null).await.json();
    assert_eq!(shown, json!({ "ROOT": "off", "scheduler": "debug" }));
    assert_eq!(levels.0.lock().unwrap()["scheduler"].1, Some(Duration::from_mins(1)));

    for (body, path) in [
        (json!({ "level": "loud", "logger": "a" }), "/level"),
        (json!({ "level": 1, "logger": "a" }), "/level"),
        (json!({ "logger": "a" }), "/level"),
        (json!({ "level": "info" }), "/logger"),
        (json!({ "level": "info", "logger": 7 }), "/logger"),
        (json!({ "level": "info", "logger": "secret" }), "/logger"),
        (json!({ "level": "info", "logger": "a", "durationSeconds": 0 }), "/durationSeconds"),
        (json!({ "level": "info", "logger": "a", "durationSeconds": 1.5 }), "/durationSeconds"),
        (json!({ "level": "info", "logger": "a", "durationSeconds": "1" }), "/durationSeconds"),
    ] {
        let refused = world.ask("POST /logging", body.clone()).await;
        assert_eq!(refused.status, 422, "{body}");
        assert_eq!(refused.json()["details"][0]["path"], path, "{body}");
    }
    assert_eq!(world.ask("GET /logging", Value::Null).await.json(), shown, "nothing of it was done");
}

#[tokio::test]
async fn a_program_whose_log_cannot_be_changed_says_so() {
    let world = World::new();
    for line in ["GET /logging", "POST /logging"] {
        let answer = world.ask(line, Value::Null).await;
        assert_eq!(answer.status, 404, "{line}");
        assert!(answer.text.contains("cannot be changed"), "{}", answer.text);
    }
}
