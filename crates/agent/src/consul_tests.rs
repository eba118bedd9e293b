//! What an agent does to its Consul, on one made up here.

use super::*;
use cluster::catalog::Gone;
use cluster::{ClusterId, InstanceId, NodeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Made {
    entries: Arc<Mutex<BTreeMap<String, Service>>>,
    away: Arc<Mutex<bool>>,
    /// It answers no to entries of this name.
    picky: Option<&'static str>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Made {
    fn answer(&self, call: String) -> Result<(), Error> {
        self.calls.lock().unwrap().push(call);
        if *self.away.lock().unwrap() { Err(Error::new("away")) } else { Ok(()) }
    }

    fn names(&self) -> Vec<String> {
        self.entries.lock().unwrap().values().map(|it| it.name.clone()).collect()
    }
}

impl Registry for Made {
    async fn list(&self) -> Result<Vec<Service>, Error> {
        self.answer("list".into())?;
        Ok(self.entries.lock().unwrap().values().cloned().collect())
    }

    async fn register(&self, service: &Service) -> Result<(), Error> {
        self.answer(format!("register {}", service.name))?;
        if self.picky == Some(service.name.as_str()) {
            return Err(Error::new("refused"));
        }
        self.entries.lock().unwrap().insert(service.id.clone(), service.clone());
        Ok(())
    }

    async fn deregister(&self, id: &str) -> Result<(), Error> {
        self.answer(format!("deregister {id}"))?;
        self.entries.lock().unwrap().remove(id);
        Ok(())
    }
}

fn service(n: u32, name: &str, rev: u64) -> Service {
    let instance = InstanceId::derive(ClusterId(1), 1, n).to_string();
    let meta = [
        ("ekiden-cluster", ClusterId(1).to_string()),
        ("ekiden-node", "n1".to_owned()),
        ("ekiden-instance", instance.clone()),
        ("ekiden-rev", rev.to_string()),
    ];
    let meta = meta.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Service { id: instance, name: name.into(), tags: vec![], address: "10.0.0.1".into(), port: 31_000, meta }
}

fn order(revision: u64, services: &[Service]) -> Order {
    let services = services.iter().map(|it| (it.id.clone(), it.clone())).collect();
    let wish = Wish { services, ..Wish::default() };
    let owner = Owner { cluster: ClusterId(1), node: NodeId::new("n1"), agent: 0xa1 };
    Order { revision, generation: 9, owner, wish }
}

/// A keeper at work on a made-up Consul.
struct Desk {
    made: Made,
    orders: watch::Sender<Option<Order>>,
    answers: mpsc::UnboundedReceiver<Input>,
    written: BTreeSet<Writer>,
}

impl Desk {
    fn new(made: Made) -> Self {
        let (orders, watched) = watch::channel(None);
        let (sender, answers) = mpsc::unbounded_channel();
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        tokio::spawn(keep(made.clone(), watched, sender, metrics));
        Self { made, orders, answers, written: BTreeSet::new() }
    }

    async fn order(&mut self, order: Order) -> Input {
        self.orders.send(Some(order)).unwrap();
        loop {
            match self.answers.recv().await.unwrap() {
                Input::Written { writers } => self.written = writers,
                answer => return answer,
            }
        }
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.made.calls.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wished_is_written_once_and_then_only_read() {
    let mut desk = Desk::new(Made::default());
    let web = service(1, "web", 1);
    assert_eq!(desk.order(order(1, std::slice::from_ref(&web))).await, Input::Published { revision: 1 });
    assert_eq!(desk.calls(), ["list", "register web"]);
    for _ in 0..3 {
        assert_eq!(desk.answers.recv().await.unwrap(), Input::Published { revision: 1 });
        assert_eq!(desk.calls(), ["list"], "at rest nothing is written (INV-C5)");
    }
    desk.made.entries.lock().unwrap().clear();
    desk.answers.recv().await.unwrap();
    assert_eq!(desk.made.names(), ["web"], "what others delete comes back");
    assert_eq!(desk.order(order(2, &[])).await, Input::Published { revision: 2 });
    assert_eq!(desk.made.names(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn entries_of_others_stay() {
    let made = Made::default();
    let foreign = Service { id: "db".into(), meta: BTreeMap::new(), ..service(7, "db", 0) };
    let neighbour = Service { id: "n2".into(), ..service(8, "web", 0) };
    let mut neighbour = neighbour;
    neighbour.meta.insert("ekiden-node".into(), "n2".into());
    for it in [foreign, neighbour] {
        made.entries.lock().unwrap().insert(it.id.clone(), it);
    }
    let mut desk = Desk::new(made);
    desk.order(order(1, &[service(1, "api", 1)])).await;
    desk.order(order(2, &[])).await;
    assert_eq!(desk.made.names(), ["db", "web"]);
    let neighbour = Writer::Named(NodeId::new("n2"));
    assert_eq!(desk.written, BTreeSet::from([neighbour.clone()]), "the cluster is asked about it");

    let mut last = order(3, &[]);
    last.wish.gone = Gone { as_of: 9, writers: BTreeSet::from([neighbour]) };
    desk.order(last).await;
    assert_eq!(desk.made.names(), ["db"], "of what is gone nobody else takes care");
    desk.order(order(4, &[])).await;
    assert_eq!(desk.written, BTreeSet::new());
}

#[tokio::test(start_paused = true)]
async fn a_consul_that_is_away_is_told_when_it_is_back() {
    let made = Made::default();
    *made.away.lock().unwrap() = true;
    let mut desk = Desk::new(made);
    assert_eq!(desk.order(order(1, &[service(1, "web", 1)])).await, Input::PublishFailed);
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(desk.answers.recv().await.unwrap(), Input::PublishFailed);
    }
    let calls = desk.calls().len() as u64;
    assert!(calls < begun.elapsed().as_secs() + 6, "{calls} attempts");
    *desk.made.away.lock().unwrap() = false;
    let healed = Instant::now();
    assert_eq!(desk.answers.recv().await.unwrap(), Input::Published { revision: 1 });
    assert!(healed.elapsed() <= AGAIN_MAX);
    assert_eq!(desk.made.names(), ["web"]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_consul_refuses_does_not_hold_up_the_others() {
    let mut desk = Desk::new(Made { picky: Some("bad"), ..Made::default() });
    let answer = desk.order(order(1, &[service(1, "bad", 1), service(2, "web", 1)])).await;
    assert_eq!((answer, desk.made.names()), (Input::PublishFailed, vec!["web".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_storm_is_written_at_fifty_a_second() {
    let services: Vec<Service> = (0..200).map(|n| service(n, "web", 1)).collect();
    let mut desk = Desk::new(Made::default());
    let begun = Instant::now();
    assert_eq!(desk.order(order(1, &services)).await, Input::Published { revision: 1 });
    let took = begun.elapsed();
    assert!((Duration::from_millis(1_900)..Duration::from_millis(2_100)).contains(&took), "{took:?}");
}
