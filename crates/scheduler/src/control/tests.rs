//! Whole members in one process: logs on disk, real sockets, and leadership that goes from one to another.

use super::*;
use crate::start;
use api::link::{Greeting, Link};
use cluster::NodeId;
use cluster::agent::{FromAgent, LogAnswer, LogQuery, PROTOCOL, Question, ToAgent};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// No step of these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

struct Group {
    controls: BTreeMap<u64, Control>,
    shutdown: CancellationToken,
    dirs: Vec<tempfile::TempDir>,
}

impl Group {
    /// Starts so many members and waits until one of them leads.
    async fn start(n: u64) -> Self {
        let mut listeners = BTreeMap::new();
        let mut members = BTreeMap::new();
        for id in 1..=n {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let link = listener.local_addr().unwrap().to_string();
            members.insert(id, Member { link, http: format!("member-{id}:8080") });
            listeners.insert(id, listener);
        }
        let mut group = Self { controls: BTreeMap::new(), shutdown: CancellationToken::new(), dirs: Vec::new() };
        for (id, listener) in listeners {
            let dir = tempfile::tempdir().unwrap();
            let config = start::Config {
                cluster: "test".to_owned(),
                id,
                members: members.clone(),
                data_dir: dir.path().to_owned(),
                tick: Duration::from_millis(20),
                snapshot_entries: 10_000,
                settings: cluster::Settings::default(),
            };
            let fatal = |error| panic!("{error}");
            let control = start::start(config, listener, &Registry::new(), group.shutdown.clone(), fatal).unwrap();
            group.controls.insert(id, control);
            group.dirs.push(dir);
        }
        group
    }

    /// The member that leads, once every member knows it and its office is open.
    async fn leader(&self, but: Option<u64>) -> u64 {
        let known = async {
            let mut watch = self.controls[&1].inner.replica.watch();
            let leader = watch.wait_for(|it| it.status.leader.is_some_and(|it| Some(it) != but)).await;
            let leader = leader.unwrap().status.leader.unwrap();
            for (id, control) in &self.controls {
                let mut watch = control.inner.replica.watch();
                let all_know = |it: &replica::Seen<Arc<State>>| {
                    it.status.leader == Some(leader) && it.status.leading == (*id == leader)
                };
                watch.wait_for(all_know).await.unwrap();
            }
            leader
        };
        tokio::time::timeout(PATIENCE, known).await.expect("a leader")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_abdicates_is_followed_by_another() {
    let group = Group::start(3).await;
    let first = group.leader(None).await;
    let follower = group.controls.iter().find(|(id, _)| **id != first).unwrap().1;
    let refused = follower.abdicate().await.unwrap_err();
    assert_eq!(refused, SubmitError::NotLeader { leader: Some(format!("member-{first}:8080")) });

    let began = Instant::now();
    group.controls[&first].abdicate().await.unwrap();
    assert!(!group.controls[&first].leadership().leading, "it is done when it is answered");
    let second = group.leader(Some(first)).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    let view = group.controls[&second].view(Freshness::Linearizable).await.expect("the new leader answers");
    group.controls[&second].abdicate().await.unwrap();
    let third = group.leader(Some(second)).await;
    let later = group.controls[&third].view(Freshness::Linearizable).await.expect("and so does the next");
    assert!(later.index() >= view.index(), "nothing is lost");
}

#[test]
fn only_the_first_gap_is_one_that_a_reader_asked_for() {
    let told = |may_miss| items(Next::Gap(7), may_miss).unwrap().remove(0);
    assert!(matches!(told(true), EventItem::Gap { through: 7 }));
    assert!(matches!(told(false), EventItem::Lagged), "whoever reads along was too slow");
    assert!(items(Next::End, true).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_alone_has_nobody_to_hand_over_to() {
    let group = Group::start(1).await;
    group.leader(None).await;
    let refused = group.controls[&1].abdicate().await.unwrap_err();
    assert!(refused.to_string().contains("only member"), "{refused}");
    assert!(group.controls[&1].leadership().leading, "it goes on");
    group.controls[&1].view(Freshness::Linearizable).await.expect("and answers");
}

/// Dials a member as an agent.
async fn hello(address: &str, relay: bool) -> Link<TcpStream> {
    let mut link = Link::new(TcpStream::connect(address).await.unwrap());
    let node = cluster::NodeDescription {
        id: NodeId::new("n1"),
        agent: 1,
        address: "10.0.0.1".to_owned(),
        capacity: cluster::Resources::default(),
        ports: cluster::PortRange::default(),
        attributes: BTreeMap::new(),
        versions: BTreeMap::new(),
        grants: cluster::Grants::default(),
    };
    link.send(&Greeting::<()>::Agent { protocol: PROTOCOL }).await.unwrap();
    link.send(&FromAgent::Hello {
        protocol: PROTOCOL,
        cluster: None,
        node,
        life: 0,
        taken_in: false,
        relay,
        opens: true,
    })
    .await
    .unwrap();
    link
}

/// The next message that is no answer to a sign of life.
async fn next(link: &mut Link<TcpStream>) -> ToAgent {
    loop {
        let message = tokio::time::timeout(PATIENCE, link.receive::<ToAgent>()).await.expect("in time");
        match message.expect("a message") {
            ToAgent::Alive | ToAgent::Open { .. } => {}
            message => return message,
        }
    }
}

/// Waits until a leader has founded the cluster.
async fn founded(control: &Control) {
    let mut watch = control.inner.replica.watch();
    let founded = watch.wait_for(|it| it.view.cluster() != ClusterId::default());
    tokio::time::timeout(PATIENCE, founded).await.expect("in time").expect("it runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_reaches_a_follower_only_is_served_through_it() {
    let group = Group::start(3).await;
    let leader = group.leader(None).await;
    founded(&group.controls[&leader]).await;
    let (_, follower) = group.controls.iter().find(|(id, _)| **id != leader).unwrap();
    let link_of = |id: u64| follower.hub().link_of(id).unwrap().to_owned();
    let follower_at = link_of(follower.inner.id);

    let mut asks = hello(&follower_at, false).await;
    assert_eq!(next(&mut asks).await, ToAgent::Elsewhere { leader: Some(link_of(leader)) });

    let mut relayed = hello(&follower_at, true).await;
    assert!(matches!(next(&mut relayed).await, ToAgent::Welcome { .. }));
    let ToAgent::Assign { generation, more: false, .. } = next(&mut relayed).await else { panic!("assignments") };
    relayed.send(&FromAgent::Obeys { generation }).await.unwrap();
    assert_eq!(relayed.receive::<ToAgent>().await.unwrap(), ToAgent::Alive);
    assert_eq!(group.controls[&leader].hub().sessions(|it| it.len()), 1);
    assert!(follower.hub().sessions(|it| it.is_empty()));

    // So is its answer to a question, over a connection of its own.
    let hub = group.controls[&leader].hub().clone();
    let asking = tokio::spawn(async move { hub.ask(&NodeId::new("n1"), &Question::Logs(LogQuery::default())).await });
    let ToAgent::Open { ticket } = relayed.receive().await.unwrap() else { panic!("a question") };
    let mut stream = Link::new(TcpStream::connect(&follower_at).await.unwrap());
    stream.send(&Greeting::<()>::Stream { ticket, relay: true }).await.unwrap();
    assert_eq!(stream.receive::<Question>().await.unwrap(), Question::Logs(LogQuery::default()));
    stream.send(&LogAnswer::End).await.unwrap();
    let mut answers = asking.await.unwrap().expect("it is there");
    assert_eq!(answers.receive::<LogAnswer>().await.unwrap(), LogAnswer::End);
    let mut stranger = Link::new(TcpStream::connect(&follower_at).await.unwrap());
    stranger.send(&Greeting::<()>::Stream { ticket: 42, relay: true }).await.unwrap();
    assert!(stranger.receive::<Question>().await.is_err(), "who was asked nothing is hung up on");

    group.controls[&leader].abdicate().await.unwrap();
    assert!(matches!(next(&mut relayed).await, ToAgent::Elsewhere { .. }), "its leader is none any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_a_deposed_leader_is_told_and_finds_the_next() {
    let group = Group::start(3).await;
    let first = group.leader(None).await;
    founded(&group.controls[&first]).await;
    let address = group.controls[&first].hub().link_of(first).unwrap().to_owned();
    let mut agent = hello(&address, false).await;
    assert!(matches!(next(&mut agent).await, ToAgent::Welcome { .. }));
    group.controls[&first].abdicate().await.unwrap();
    while !matches!(next(&mut agent).await, ToAgent::Elsewhere { .. }) {}
    assert!(agent.receive::<ToAgent>().await.is_err(), "nobody is kept where nobody leads");
    let second = group.leader(Some(first)).await;
    let address = group.controls[&second].hub().link_of(second).unwrap().to_owned();
    let mut agent = hello(&address, false).await;
    while !matches!(next(&mut agent).await, ToAgent::Welcome { .. }) {}
}
