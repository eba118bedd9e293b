//! Apps that are found under one name in Consul are told so when they come.

use crate::support::*;
use cluster::*;

fn shared(applied: &Applied) -> Vec<(String, String, String)> {
    let text = |it: &SharedService| (it.app.to_string(), it.service.clone(), it.other.to_string());
    applied.shared_services.iter().map(text).collect()
}

fn sharing(app: &str, service: &str, other: &str) -> Vec<(String, String, String)> {
    vec![(app.to_owned(), service.to_owned(), other.to_owned())]
}

fn named(mut spec: AppSpec, port: &str) -> AppSpec {
    let first = spec.run.ports[0].clone();
    spec.run.ports.push(PortSpec { name: Some(port.to_owned()), ..first });
    spec
}

fn labelled(mut spec: AppSpec, value: &str) -> AppSpec {
    spec.policy.labels.insert("consul".to_owned(), value.to_owned());
    spec
}

#[test]
fn two_names_that_lead_to_one_service_are_told() {
    let mut cluster = Cluster::with_nodes(3);
    assert_eq!(shared(&cluster.put(app("/pay/api", 1)).unwrap()), []);
    let second = cluster.put(app("/api-pay", 1)).unwrap();
    assert_eq!(shared(&second), sharing("/api-pay", "api-pay", "/pay/api"));
    cluster.settle();
    let again = cluster.put(image(app("/pay/api", 1), "web:2")).unwrap();
    assert_eq!(shared(&again), sharing("/pay/api", "api-pay", "/api-pay"), "and so is every change after that");
    cluster.settle();

    cluster.put(named(app("/web", 1), "admin")).unwrap();
    let port = cluster.put(app("/admin/web", 1)).unwrap();
    assert_eq!(shared(&port), sharing("/admin/web", "web-admin", "/web"), "the names of ports as well");
    assert_eq!(shared(&cluster.put(labelled(app("/hidden/web", 1), "false")).unwrap()), []);
    let label = cluster.put(labelled(app("/other", 1), "web")).unwrap();
    assert_eq!(shared(&label), sharing("/other", "web", "/web"));

    // Two of one request, and what goes leaves its name.
    let both = vec![(app("/a/b", 1), Expect::Any), (app("/b-a", 1), Expect::Any)];
    let both = cluster.ask(Command::PutApps { apps: both, force: false }).unwrap();
    assert_eq!(shared(&both), sharing("/b-a", "b-a", "/a/b"));
    cluster.settle();
    cluster.ask(Command::RemoveApp { app: id("/a/b"), force: false }).unwrap();
    cluster.settle();
    assert_eq!(shared(&cluster.put(image(app("/b-a", 1), "web:2")).unwrap()), []);
    assert_eq!(cluster.state.clone().indexed(), cluster.state);
}

#[test]
fn an_operator_may_have_them_refused() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(app("/pay/api", 1)).unwrap();
    cluster.put(app("/api-pay", 1)).unwrap();
    cluster.settle();
    let settings = Settings { unique_services: true, ..Settings::default() };
    cluster.ask(Command::Configure { settings }).unwrap();
    let refused = cluster.put(labelled(app("/third", 1), "api-pay")).unwrap_err();
    assert!(matches!(&refused, Rejected::ServiceTaken(it) if it.service == "api-pay"), "{refused:?}");
    assert!(refused.to_string().contains("'/third' would be found in Consul as 'api-pay'"), "{refused}");
    assert!(cluster.state.app(&id("/third")).is_none());
    cluster.put(app("/api-pay", 2)).expect("what has the name already goes on");
    cluster.settle();
    assert_eq!(cluster.picture("/api-pay"), "2 new healthy");
}
