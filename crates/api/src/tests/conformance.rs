//! What is served is what `/v3/openapi.json` describes: a program that knows nothing of Ekiden but that document asks
//! for everything, rightly and wrongly, and looks at every answer.

use super::logging::Levels;
use super::served::Served;
use super::world::{World, app};
use crate::Config;
use crate::routes::ROUTES;
use crate::server::Limits;
use crate::testing::Fake;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;

/// The whole run takes a third of it on a slow machine.
const PATIENCE: Duration = Duration::from_mins(3);
/// Statuses, types and schemas as described, and none from 500 on.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

/// The program, where `scripts/setup schemathesis` put it.
fn schemathesis() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|it| !it.is_empty()).map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let program = cache.unwrap_or_else(home).join("ekiden/schemathesis/bin/schemathesis");
    let found = program.exists().then_some(program);
    let required = std::env::var("EKIDEN_E2E").is_ok_and(|it| it == "require");
    assert!(found.is_some() || !required, "schemathesis is not here: run scripts/setup schemathesis");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_described() {
    let Some(program) = schemathesis() else { return };
    let fake = Fake::new();
    fake.add_node("n1", 4, 4096);
    fake.add_node("n2", 4, 4096);
    let config = Config { logging: Some(Arc::new(Levels::default())), ..Config::default() };
    let limits = Limits { connections_per_address_max: 1000, ..Limits::default() };
    let served = Served::start(World::with(fake, config), limits).await;
    served.leads();

    let url = format!("http://{}/v3/openapi.json", served.address);
    let mut tester = Command::new(program);
    tester.args(["run", &url, "--checks", CHECKS, "--phases", "examples,coverage,fuzzing"]);
    tester.args(["--max-examples", "5", "--generation-deterministic", "--no-shrink"]);
    // Its answer does not end; `tests/events.rs` looks at it.
    tester.args(["--exclude-path", "/v2/events", "--continue-on-failure", "--request-timeout", "10"]);
    tester.args(["--no-color", "--warnings", "off", "--max-redirects", "0", "--workers", "1"]);
    // More than one worker trip over each other inside the tool: its cache of sources is not made for threads.
    // It writes down what it finds where it is started.
    let scratch = std::env::temp_dir().join(format!("ekiden-conformance-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    tester.current_dir(&scratch).kill_on_drop(true);
    let running = tester.output();
    tokio::pin!(running);
    let run = async {
        loop {
            tokio::select! {
                output = &mut running => return output.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(20)) => keep(&served.world).await,
            }
        }
    };
    let output = tokio::time::timeout(PATIENCE, run).await.expect("it ends in time");
    let _ = std::fs::remove_dir_all(&scratch);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let tested = format!("Tested: {}", ROUTES.len() - 2);
    assert!(said.contains(&tested), "all but the stream of events and the document: {said}");
}

/// Makes sure that there is something to ask for, whatever was deleted meanwhile.
async fn keep(world: &World) {
    world.fake.settle();
    let posted = world.ask("POST /v2/apps?force=true", app("/pay/api", 2)).await;
    assert!(matches!(posted.status, 201 | 409), "{}", posted.text);
    let large = json!({ "id": "/pay/large", "cpus": 100, "container": { "docker": { "image": "nginx" } } });
    world.ask("POST /v2/apps?force=true", large).await;
    world.fake.settle();
}

#[tokio::test]
async fn schemas_and_the_list_of_routes_are_served() {
    let world = World::new();
    let document = world.ask("GET /v3/openapi.json", Value::Null).await.json();
    assert_eq!(document["openapi"], "3.0.3");
    let info = &document["components"]["schemas"]["AppInfo"];
    assert_eq!(info["properties"]["tasksStaged"]["type"], "integer", "{info}");
    assert_eq!(document["components"]["schemas"]["Number"]["type"], "number");
    let required = info["required"].as_array().unwrap();
    assert!(required.contains(&json!("tasksRunning")) && !required.contains(&json!("tasks")), "{required:?}");

    let schema = world.ask("GET /v2/schemas/app", Value::Null).await.json();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-04/schema#");
    assert_eq!(schema["required"], json!(["id"]));
    assert_eq!(schema["properties"]["container"]["properties"]["docker"]["properties"]["image"]["type"], "string");
    assert!(!schema.to_string().contains("\"$ref\"") && !schema.to_string().contains("nullable"), "{schema}");
    let group = world.ask("GET /v2/schemas/group", Value::Null).await.json();
    assert_eq!(group["properties"]["groups"]["items"], json!({ "$ref": "#" }));
    assert_eq!(group["definitions"]["app"]["properties"]["id"]["type"], "string");

    let help = world.send("GET /help", &[("accept", "text/html")], "").await;
    assert_eq!((help.status, help.header("content-type")), (200, "text/html; charset=utf-8"));
    for shown in ["/v2/apps/{id}/versions", "/v3/openapi.json", "Kills one instance of an app"] {
        assert!(help.text.contains(shown), "{shown}");
    }
    for line in ["GET /", "HEAD /"] {
        let moved = world.send(line, &[("accept", "*/*")], "").await;
        assert_eq!((moved.status, moved.header("location")), (302, "/ui/"), "{line}");
    }
    for line in ["GET /v2/plugins/x", "GET /v2/plugins/x/y/z", "POST /v2/plugins/x/y"] {
        assert_eq!(world.ask(line, Value::Null).await.status, 404, "{line}");
    }
}

#[tokio::test]
async fn head_is_answered_wherever_get_is() {
    let world = World::new();
    world.run(app("/a", 1)).await;
    for route in ROUTES.iter().filter(|it| it.method == "GET" && !it.path.contains('{')) {
        let accept = [("accept", "*/*")];
        let head = world.head(&format!("HEAD {}", route.path), &accept).await;
        let get = world.head(&format!("GET {}", route.path), &accept).await;
        assert_eq!(head.0, get.0, "{}", route.path);
        assert_eq!(head.1.get("content-type"), get.1.get("content-type"), "{}", route.path);
    }
}
