//! Readiness checks.

use super::Problems;
use super::limits::SECONDS_MAX;
use super::read::Object;
use super::seen::Seen;
use cluster::{PortSpec, ReadinessCheck};
use serde_json::Value;

const KNOWN: &[&str] = &[
    "httpStatusCodesForReady",
    "intervalSeconds",
    "name",
    "path",
    "portName",
    "preserveLastResponse",
    "protocol",
    "timeoutSeconds",
];

/// Reads `readinessChecks` (RAML `ReadinessCheck`) of an app with these ports.
pub(super) fn read(problems: &mut Problems, app: &Object, ports: &[PortSpec]) -> Vec<ReadinessCheck> {
    let objects = app.objects(problems, "readinessChecks").unwrap_or_default();
    if objects.len() > 1 {
        problems.invalid(&app.at("readinessChecks"), "An app must not have more than one readiness check");
    }
    objects.iter().map(|it| check(problems, it, ports)).collect()
}

fn check(problems: &mut Problems, object: &Object, ports: &[PortSpec]) -> ReadinessCheck {
    object.check_known(problems, KNOWN);
    let seconds =
        |problems: &mut Problems, name, default| object.int(problems, name, 1, SECONDS_MAX).unwrap_or(default) * 1000;
    let interval_ms = seconds(problems, "intervalSeconds", 30);
    let timeout_ms = seconds(problems, "timeoutSeconds", 10);
    if timeout_ms >= interval_ms {
        problems.invalid(
            &object.at("timeoutSeconds"),
            format!(
                "Timeout ({} seconds) must be less than the interval ({} seconds)",
                timeout_ms / 1000,
                interval_ms / 1000
            ),
        );
    }
    let name = object.text(problems, "name").unwrap_or("readinessCheck");
    if name.is_empty() {
        problems.invalid(&object.at("name"), "must not be empty");
    }
    let port_name = object.text(problems, "portName").unwrap_or("http-api");
    if !ports.iter().any(|it| it.name.as_deref() == Some(port_name)) {
        problems.invalid(&object.at("portName"), format!("No port definition reference for portName {port_name}"));
    }
    ReadinessCheck {
        name: name.to_owned(),
        tls: object.word(problems, "protocol", &["HTTP", "HTTPS"]) == Some("HTTPS"),
        path: super::health::path(problems, object),
        port_name: port_name.to_owned(),
        interval_ms,
        timeout_ms,
        codes: codes(problems, object),
        keep_response: object.boolean(problems, "preserveLastResponse").unwrap_or(false),
    }
}

fn codes(problems: &mut Problems, object: &Object) -> Vec<u16> {
    const NAME: &str = "httpStatusCodesForReady";
    let Some(items) = object.array(problems, NAME) else { return vec![200] };
    if items.is_empty() {
        problems.invalid(&object.at(NAME), "must have at least one status code");
    }
    let (mut codes, mut seen) = (Vec::new(), Seen::new());
    for (n, item) in items.iter().enumerate() {
        let path = format!("{}({n})", object.at(NAME));
        match item.as_f64().filter(|it| it.fract() == 0.0) {
            Some(code) if !(100.0..=999.0).contains(&code) => problems.invalid(&path, "must be between 100 and 999"),
            Some(code) if !seen.is_new(code as u16) => problems.invalid(&path, "must not be given twice"),
            Some(code) => codes.push(code as u16),
            None if Value::is_number(item) => problems.shape(&path, "error.expected.int"),
            None => problems.shape(&path, "error.expected.jsnumber"),
        }
    }
    codes
}
