//! Messages cross real sockets, in order; strangers are refused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use raft::eraftpb::{Entry, Message, MessageType};

use super::*;

fn config(id: u64, addresses: &[(u64, String)]) -> Config {
    Config { cluster: "test".to_owned(), id, addresses: addresses.iter().cloned().collect::<BTreeMap<_, _>>() }
}

fn inbox() -> (Inbox, mpsc::Receiver<News>) {
    let (sender, receiver) = mpsc::channel();
    (Arc::new(move |news| drop(sender.send(news))), receiver)
}

fn message(index: u64, data: usize) -> Message {
    let entry = Entry { data: vec![1; data].into(), ..Entry::default() };
    Message {
        msg_type: MessageType::MsgAppend,
        from: 1,
        to: 2,
        index,
        entries: vec![entry].into(),
        ..Message::default()
    }
}

/// Listens as member 2 and returns the address, the listener and what comes in.
async fn listening() -> (String, Listener, mpsc::Receiver<News>) {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let (inbox, news) = inbox();
    let listener = Listener::new(config(2, &[(1, String::new())]), inbox);
    let accepting = listener.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let accepting = accepting.clone();
            tokio::spawn(async move { accepting.accept(stream).await.map(drop) });
        }
    });
    (address, listener, news)
}

fn received(news: &mpsc::Receiver<News>, n: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while messages.len() < n {
        match news.recv_timeout(Duration::from_secs(5)).expect("messages arrive") {
            News::Messages(more) => messages.extend(more),
            other => panic!("{other:?}"),
        }
    }
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_in_order_and_large_snapshots_in_parts() {
    let (address, _listener, received_news) = listening().await;
    let (inbox, sender_news) = inbox();
    let mut peers = Peers::dial(&config(1, &[(2, address)]), &inbox);
    peers.send((1..=50).map(|it| message(it, 10_000)).collect());
    let messages = received(&received_news, 50);
    assert_eq!(messages, (1..=50).map(|it| message(it, 10_000)).collect::<Vec<_>>());

    let mut snapshot = message(51, 0);
    snapshot.set_msg_type(MessageType::MsgSnapshot);
    snapshot.mut_snapshot().data = (0..5_000_001_u32).map(|it| it as u8).collect::<Vec<_>>().into();
    snapshot.mut_snapshot().mut_metadata().index = 9;
    peers.send(vec![message(50, 1), snapshot.clone(), message(52, 1)]);
    let messages = received(&received_news, 3);
    assert_eq!([messages[0].index, messages[1].index], [50, 52], "the others do not wait for it");
    assert_eq!(messages[2], snapshot);
    let sent = sender_news.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(matches!(sent, News::SnapshotSent(2, true)), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_socket_does_not_take_at_once_is_sent_behind_it_in_order() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (inbox, _sender_news) = inbox();
    let mut peers = Peers::dial(&config(1, &[(2, socket.local_addr().unwrap().to_string())]), &inbox);
    let (stream, _) = socket.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    // Nobody reads meanwhile: more than any socket's buffers take, in messages of many lengths, one by one.
    let lengths: Vec<usize> = (1..=400).map(|n| n * 7919 % 100_000).collect();
    for (n, length) in lengths.iter().enumerate() {
        peers.send(vec![message(n as u64, *length)]);
    }
    peers.tell(cluster::Moment(7));
    let (inbox, received_news) = self::inbox();
    let listener = Listener::new(config(2, &[(1, String::new())]), inbox);
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    assert!(matches!(listener.accept(stream).await, Ok(Accepted::Peer(1))));
    let mut messages = Vec::new();
    let mut told = false;
    while messages.len() < lengths.len() || !told {
        match received_news.recv_timeout(Duration::from_secs(20)).expect("all arrive") {
            News::Messages(more) => messages.extend(more),
            News::Clock(1, reading, _) => told = reading.moment == cluster::Moment(7),
            other => panic!("{other:?}"),
        }
    }
    let expect: Vec<_> = lengths.iter().enumerate().map(|(n, length)| message(n as u64, *length)).collect();
    assert!(messages == expect, "{} messages, all of them in order", messages.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_comes_late_or_goes_is_dialled_again() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let (inbox, news) = inbox();
    let mut peers = Peers::dial(&config(1, &[(2, address.to_string())]), &inbox);
    let first = news.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(matches!(first, News::Unreachable(2)), "{first:?}");

    let socket = tokio::net::TcpListener::bind(address).await.unwrap();
    for _ in 0..2 {
        let (stream, _) = socket.accept().await.unwrap();
        let (inbox, received_news) = self::inbox();
        let listener = Listener::new(config(2, &[(1, String::new())]), inbox);
        assert!(matches!(listener.accept(stream).await, Ok(Accepted::Peer(1))));
        peers.send(vec![message(1, 1)]);
        assert_eq!(received(&received_news, 1).len(), 1);
        listener.close();
        drop(received_news);
        // A broken connection shows itself when something is sent.
        for _ in 0..5 {
            peers.send(vec![message(2, 1)]);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn strangers_are_refused_and_counted() {
    let listener = Listener::new(config(2, &[(1, String::new())]), inbox().0);
    let hello = Hello { protocol: PROTOCOL, cluster: "test".to_owned(), from: 1, to: 2 };
    let check = |hello: Hello| listener.inner.check(hello);
    assert_eq!(check(hello.clone()), Ok(1));
    let refused = [
        (Hello { protocol: 9, ..hello.clone() }, Refusal::Protocol { theirs: 9 }),
        (Hello { cluster: "x".to_owned(), ..hello.clone() }, Refusal::Cluster { theirs: "x".to_owned() }),
        (Hello { to: 3, ..hello.clone() }, Refusal::Elsewhere { from: 1, to: 3 }),
        (Hello { from: 7, ..hello }, Refusal::Unknown { from: 7 }),
    ];
    for (hello, refusal) in refused {
        assert_eq!(check(hello), Err(refusal));
    }

    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stranger = tokio::net::TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stranger, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let (stream, _) = socket.accept().await.unwrap();
    assert!(matches!(listener.accept(stream).await, Err(Refusal::NoGreeting)));
    assert_eq!(listener.n_refused(), 1);
}
