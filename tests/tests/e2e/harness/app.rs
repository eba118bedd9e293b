//! Apps to deploy.

use serde_json::{Value, json};
use std::path::Path;

/// The demo's app, as the repository has it.
pub(crate) fn json_of_demo() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo/web.json");
    serde_json::from_slice(&std::fs::read(file).expect("the demo's app")).expect("JSON")
}

/// The demo's app under another name, with another number of instances.
pub(crate) fn web(id: &str, instances: u32) -> Value {
    let mut app = json_of_demo();
    app["id"] = json!(id);
    app["instances"] = json!(instances);
    app
}

/// The same with other fields; null takes one away.
pub(crate) fn with(mut app: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    for (name, value) in fields {
        app[name] = value;
    }
    app.as_object_mut().expect("an app").retain(|_, it| !it.is_null());
    app
}

/// The same with another image.
pub(crate) fn with_image(mut app: Value, image: &str) -> Value {
    app["container"]["docker"]["image"] = json!(image);
    app
}
