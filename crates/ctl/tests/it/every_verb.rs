//! What holds for every verb: words, questions, JSON, pipes.

use crate::fake::wire::*;
use crate::fake::{Fake, User, check, check_started};
use serde_json::json;

#[tokio::test]
async fn the_words_of_the_dcos_cli_are_understood() {
    let fake = Fake::new()
        .on("GET /v2/apps/demo/web", 200, single(&app("/demo/web", 3, V1)))
        .on("PUT /v2/apps/demo/web?force=true", 200, accepted(V2))
        .on("GET /v2/apps/demo/web/versions", 200, json!({ "versions": [V2, V1] }))
        .on(&format!("GET /v2/apps/demo/web/versions/{V1}"), 200, json!({ "id": "/demo/web" }))
        .on("GET /v2/tasks", 200, json!({ "tasks": [task(1)] }))
        .on(
            &format!("DELETE /v2/apps/demo/web/tasks/{}?wipe=true", task(1)["id"].as_str().unwrap()),
            200,
            json!({ "task": task(1) }),
        )
        .on("GET /v2/leader", 200, json!({ "leader": "10.0.0.1:8080" }));
    check_started(&fake.run("marathon app stop --force /demo/web").await, "/demo/web  scaled");
    check(
        &fake.run("marathon app version list --max-count 1 --json /demo/web").await,
        r#"
-- stdout
[
  "2026-11-21T05:24:40.000Z"
]
-- exit 0
"#,
    );
    check(
        &fake.run(&format!("marathon app show --app-version={V1} /demo/web")).await,
        r#"
-- stdout
{
  "id": "/demo/web"
}
-- exit 0
"#,
    );
    check(
        &fake.run("marathon task show 00000c000001").await,
        "
-- stdout
demo_web.12345678-9abc-8000-8000-00000c000001  Running  healthy
  app        /demo/web
  node       -
  host       vm-1
  ports      31001
  version    2026-11-21T05:19:52.000Z
  staged     2026-11-21T05:20:00.000Z (4m ago)
  started    2026-11-21T05:20:01.000Z (4m ago)
  check      alive
-- exit 0
",
    );
    check(
        &fake.run("marathon task stop --wipe 00000c000001").await,
        "
-- stdout
demo_web.12345678-9abc-8000-8000-00000c000001
-- stderr
killed 1 instance
-- exit 0
",
    );
    check(
        &fake.run("marathon task show nobody").await,
        "
-- stderr
error: there is no task `nobody`
  hint: `ekiden task list` shows what there is
-- exit 66
",
    );
    check(
        &fake.run("marathon leader show").await,
        "
-- stdout
10.0.0.1:8080
-- exit 0
",
    );
    check(
        &fake.changes().join("\n"),
        r#"
PUT /v2/apps/demo/web?force=true {"instances":0}
DELETE /v2/apps/demo/web/tasks/demo_web.12345678-9abc-8000-8000-00000c000001?wipe=true"#,
    );
}

#[tokio::test]
async fn a_person_is_asked_before_something_ends() {
    let fake = Fake::new().on("DELETE /v2/apps/demo/web", 200, accepted(V2));
    let no = User { stdin: "n\n".to_owned(), ..User::at_terminal() };
    check(
        &fake.run_as(&no, "app remove /demo/web").await,
        "
-- stderr
Remove /demo/web and all its instances? [y/N] error: nothing was done
  hint: `--yes` asks no questions
-- exit 130
",
    );
    check(&fake.changes().join("\n"), "");
    let yes = User { stdin: "y\n".to_owned(), ..User::at_terminal() };
    check_started(
        &fake.run_as(&yes, "app remove /demo/web").await,
        "Remove /demo/web and all its instances? [y/N] /demo/web  removed",
    );
    check_started(&fake.run_as(&no, "app remove /demo/web --yes").await, "/demo/web  removed");
}

#[tokio::test]
async fn json_is_what_the_server_says() {
    let fake = Fake::new().on("GET /v2/apps", 200, json!({ "apps": [{ "later": 1 }] }));
    // A field that this program does not know is passed on; one that it needs is missed.
    check(
        &fake.run("app list -o json").await,
        "
-- stderr
error: the answer is not what was expected: missing field `id`
  at: GET /v2/apps of http://fake
  hint: is this an Ekiden server, of the version of `ekiden version`?
-- exit 1
",
    );
    let task = task(1);
    let fake = Fake::new().on("GET /v2/tasks", 200, json!({ "tasks": [task] }));
    check(
        &fake.run("task list -o json").await,
        r#"
-- stdout
[
  {
    "appId": "/demo/web",
    "host": "vm-1",
    "id": "demo_web.12345678-9abc-8000-8000-00000c000001",
    "ports": [
      31001
    ],
    "state": "TASK_RUNNING",
    "version": "2026-11-21T05:19:52.000Z",
    "stagedAt": "2026-11-21T05:20:00.000Z",
    "startedAt": "2026-11-21T05:20:01.000Z",
    "healthCheckResults": [
      {
        "alive": true,
        "consecutiveFailures": 0,
        "instanceId": "demo_web.marathon-x"
      }
    ]
  }
]
-- exit 0
"#,
    );
}

#[tokio::test]
async fn completions_know_the_verbs() {
    let script = Fake::new().run("completions bash").await;
    assert!(script.contains("deployment") && script.contains("--fail-fast") && script.ends_with("-- exit 0\n"));
}

#[tokio::test]
async fn a_closed_pipe_ends_quietly() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let fake = Fake::new().on("GET /v2/tasks", 200, json!({ "tasks": [task(1)] }));
    check(&fake.run_into(Box::new(Closed), "task list").await, "-- exit 0\n");
}

/// The verbs that take ids, as words.
fn verbs_of_ids(command: &clap::Command, words: &[String]) -> Vec<Vec<String>> {
    let below = command.get_subcommands().flat_map(|it| {
        let words = [words, &[it.get_name().to_owned()]].concat();
        verbs_of_ids(it, &words)
    });
    let takes_ids = command.get_positionals().any(|it| it.is_required_set() && it.get_id().as_str().starts_with("id"));
    below.chain(takes_ids.then(|| words.to_vec())).collect()
}

#[test]
fn an_empty_id_never_names_the_root_or_all() {
    let grammar = ctl::grammar("ekiden");
    let verbs = verbs_of_ids(&grammar, &["ekiden".to_owned()]);
    assert!(verbs.len() > 30, "{verbs:?}");
    for mut words in verbs {
        words.push(String::new());
        let err = grammar.clone().try_get_matches_from(&words).unwrap_err().to_string();
        assert!(err.contains("an id is expected"), "{words:?}: {err}");
    }
}

#[test]
fn a_number_of_instances_is_a_whole_one() {
    for typed in ["x", "-1", "1.5", "99999999999"] {
        let line = ["ekiden", "app", "scale", "/demo/web", typed];
        let err = ctl::grammar("ekiden").try_get_matches_from(line).unwrap_err().to_string();
        assert!(err.contains("is no number of instances: write 3"), "{err}");
    }
}
