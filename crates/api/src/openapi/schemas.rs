//! JSON schemas of what is answered and of what is read, made from the types of [`crate::v2`] and [`crate::v3`].

use crate::limits;
use crate::v2::{App, Pod};
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value, json};

/// A schema, to be made once the generator is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Schema {
    /// A type's own.
    Of(fn(&mut SchemaGenerator) -> schemars::Schema),
    /// One of two types.
    Either(fn(&mut SchemaGenerator) -> schemars::Schema, fn(&mut SchemaGenerator) -> schemars::Schema),
    /// A text of any form.
    Text,
    /// An object of any form.
    Object,
    /// An app's definition, as users write it.
    Definition,
    /// Part of one.
    Update,
    /// Several parts, each with an id.
    Updates,
    /// A group's new content.
    Group,
    /// A pod's definition, as users write it.
    Pod,
}

impl Schema {
    /// The schema of a type that is printed.
    pub(super) const fn of<T: JsonSchema>() -> Self {
        Self::Of(SchemaGenerator::subschema_for::<T>)
    }

    /// The schema of an answer that is of one type or of the other.
    pub(super) const fn either<T: JsonSchema, U: JsonSchema>() -> Self {
        Self::Either(SchemaGenerator::subschema_for::<T>, SchemaGenerator::subschema_for::<U>)
    }
}

/// The schemas of a document, each under its name.
pub(super) struct Schemas {
    generator: SchemaGenerator,
    written: Map<String, Value>,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::openapi3().for_serialize().with(|it| it.meta_schema = None);
        Self { generator: settings.with_transform(RecursiveTransform(tidy)).into_generator(), written: Map::new() }
    }

    /// Makes sure that a schema is in the document, and returns what stands for it.
    pub(super) fn add(&mut self, schema: Schema) -> Value {
        match schema {
            Schema::Of(make) => {
                let mut schema = make(&mut self.generator);
                for transform in self.generator.transforms_mut() {
                    transform.transform(&mut schema);
                }
                schema.to_value()
            }
            Schema::Either(one, other) => {
                json!({ "anyOf": [self.add(Schema::Of(one)), self.add(Schema::Of(other))] })
            }
            Schema::Text => json!({ "type": "string" }),
            Schema::Object => json!({ "type": "object" }),
            Schema::Definition => self.write("AppDefinition", || definition(true)),
            Schema::Update => self.write("AppUpdate", || definition(false)),
            Schema::Group => {
                let app = self.add(Schema::Definition);
                self.write("GroupUpdate", || group(app))
            }
            Schema::Pod => self.write("PodDefinition", pod),
            Schema::Updates => json!({ "type": "array", "items": self.write("AppDefinition", || definition(true)) }),
        }
    }

    fn write(&mut self, name: &str, make: impl FnOnce() -> Value) -> Value {
        self.written.entry(name).or_insert_with(|| limits_in_words(make()));
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// All schemas that others refer to.
    pub(super) fn into_definitions(mut self) -> Map<String, Value> {
        let mut definitions = self.generator.take_definitions(true);
        definitions.extend(self.written);
        definitions
    }
}

/// Takes out what is not so: absent fields are left out and never `null`, and lists of nothing are empty.
fn tidy(schema: &mut schemars::Schema) {
    schema.remove("nullable");
    for bound in ["minimum", "maximum", "default"] {
        if let Some(Value::Number(number)) = schema.get_mut(bound)
            && let Some(whole) = number.as_f64().filter(|it| it.fract() == 0.0)
        {
            *number = (whole as i64).into();
        }
    }
    let is_of_nothing = schema.get("items").is_some_and(|it| {
        it["type"] == "null" || it.as_object().is_some_and(Map::is_empty) || it["enum"] == json!([null])
    });
    if is_of_nothing {
        schema.insert("items".to_owned(), json!({ "type": "object" }));
        schema.insert("maxItems".to_owned(), 0.into());
    }
}

/// An app's definition as users write it: what is printed, of which nothing but the id has to be given.
fn definition(needs_id: bool) -> Value {
    let settings = SchemaSettings::openapi3().for_serialize().with(|it| {
        it.meta_schema = None;
        it.inline_subschemas = true;
    });
    let mut schema = without_required::<App>(settings);
    if let Some(fields) = schema["properties"].as_object_mut() {
        fields.remove("versionInfo");
    }
    schema["title"] = (if needs_id { "AppDefinition" } else { "AppUpdate" }).into();
    schema["description"] = "An app's definition. Fields that are not given have their defaults; the older dialect of \
                             Marathon, with `ports`, `uris` and `container.docker.network`, is read as well."
        .into();
    schema["example"] = json!({
        "id": "/pay/api",
        "instances": 2,
        "cpus": 0.1,
        "mem": 64,
        "networks": [{ "mode": "container/bridge" }],
        "container": {
            "type": "DOCKER",
            "docker": { "image": "nginx:1.25" },
            "portMappings": [{ "containerPort": 80, "name": "web" }],
        },
        "healthChecks": [{ "protocol": "HTTP", "path": "/", "intervalSeconds": 5 }],
        "labels": { "team": "pay" },
    });
    if needs_id {
        schema["required"] = json!(["id"]);
    }
    add_limits(&mut schema);
    schema
}

/// A type's schema, of which nothing has to be given.
fn without_required<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let mut schema = settings.with_transform(RecursiveTransform(tidy)).into_generator().into_root_schema_for::<T>();
    RecursiveTransform(|it: &mut schemars::Schema| drop(it.remove("required"))).transform(&mut schema);
    schema.to_value()
}

/// A pod's definition as users write it.
fn pod() -> Value {
    let settings = SchemaSettings::openapi3().for_serialize().with(|it| {
        it.meta_schema = None;
        it.inline_subschemas = true;
    });
    let mut schema = without_required::<Pod>(settings);
    schema["title"] = "PodDefinition".into();
    schema["required"] = json!(["id", "containers"]);
    schema["example"] = json!({
        "id": "/pay/worker",
        "containers": [{
            "name": "main",
            "resources": { "cpus": 0.1, "mem": 32 },
            "image": { "kind": "DOCKER", "id": "nginx:1.25" },
            "endpoints": [{ "name": "web", "containerPort": 80, "hostPort": 0, "protocol": ["tcp"] }],
        }],
        "networks": [{ "mode": "container/bridge" }],
        "scaling": { "kind": "fixed", "instances": 1 },
    });
    add_limits(&mut schema);
    schema
}

/// A group's new content as users write it; `version` and `scaleBy` stand alone.
fn group(app: Value) -> Value {
    let of = |items: Value| json!({ "type": "array", "items": items });
    let mut schema = json!({
        "title": "GroupUpdate",
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "apps": of(app),
            "groups": of(json!({ "$ref": "#/components/schemas/GroupUpdate" })),
            "dependencies": of(json!({ "type": "string" })),
            "scaleBy": { "type": "number", "minimum": 0 },
            "version": { "type": "string" },
        },
        "example": { "id": "/pay", "dependencies": [], "groups": [{ "id": "db" }] },
    });
    add_limits(&mut schema);
    schema
}

/// Says of each list, map and text of a definition how long it may be, as [`limits`] has it.
fn add_limits(schema: &mut Value) {
    let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, field) in fields {
        add_limits_of(name, field);
    }
}

/// Tells limits in words, for those who read; programs that try out all that a document allows would send little else
/// than lists of thousands of items.
fn limits_in_words(mut schema: Value) -> Value {
    let words = [("maxItems", "items"), ("maxProperties", "entries"), ("maxLength", "bytes")];
    if let Some(fields) = schema.as_object_mut() {
        for (keyword, what) in words {
            let Some(max) = fields.get(keyword).and_then(Value::as_u64).filter(|it| *it > 0) else { continue };
            fields.remove(keyword);
            let said =
                fields.get("description").and_then(Value::as_str).map_or_else(String::new, |it| format!("{it} "));
            fields.insert("description".to_owned(), format!("{said}At most {max} {what}.").into());
        }
        for part in fields.values_mut() {
            *part = limits_in_words(part.take());
        }
    }
    schema
}

fn add_limits_of(name: &str, field: &mut Value) {
    match field["type"].as_str() {
        Some("array") => {
            if field.get("maxItems").is_none() {
                field["maxItems"] = limits::items_max(name).into();
            }
            if let Some(items) = field.get_mut("items") {
                add_limits_of(name, items);
            }
        }
        // Characters; the limit is of bytes, of which each has one or more.
        Some("string") if field.get("enum").is_none() => field["maxLength"] = limits::text_bytes_max(name).into(),
        Some("object") if field["additionalProperties"]["type"] == "string" => {
            field["maxProperties"] = limits::ENTRIES_MAX.into();
            field["additionalProperties"]["maxLength"] = limits::LONG_TEXT_BYTES_MAX.into();
        }
        _ => add_limits(field),
    }
}

/// The draft of JSON Schema that Marathon's users validate with.
const DRAFT: &str = "http://json-schema.org/draft-04/schema#";

/// The JSON Schema of an app's definition, draft 4.
pub(crate) fn app_schema() -> Value {
    let mut schema = definition(true);
    schema["$schema"] = DRAFT.into();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("example");
    }
    schema
}

/// The JSON Schema of a group, draft 4.
pub(crate) fn group_schema() -> Value {
    let mut app = app_schema();
    if let Some(app) = app.as_object_mut() {
        app.remove("$schema");
    }
    let path = |what: &str| json!({ "type": "string", "description": what });
    let mut schema = json!({
        "$schema": DRAFT,
        "title": "Group",
        "description": "Apps and groups under one path.",
        "type": "object",
        "properties": {
            "id": path("The group's path; one that does not begin with a slash is below the enclosing group."),
            "apps": { "type": "array", "items": { "$ref": "#/definitions/app" }, "description": "Its own apps." },
            "groups": { "type": "array", "items": { "$ref": "#" }, "description": "The groups in it." },
            "dependencies": {
                "type": "array",
                "items": path("The path of an app or a group."),
                "description": "What has to run before it.",
            },
        },
        "required": ["id"],
        "definitions": { "app": app },
    });
    add_limits(&mut schema);
    schema
}
