//! Starts one member: its log, its replica, its peers, its office and its port.

use crate::control::{Control, Member};
use crate::peers::{self, Accepted, Listener, Peers};
use crate::{hub, log, replica};
use cluster::{Settings, State};
use prometheus::Registry;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How one member runs, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's name: members of another one are refused.
    pub cluster: String,
    /// Which member this is; not 0.
    pub id: u64,
    /// All members, this one among them: one or three.
    pub members: BTreeMap<u64, Member>,
    /// Where the log and the snapshots are.
    pub data_dir: PathBuf,
    /// The length of a raft tick; an election takes 8 to 14 of them.
    pub tick: Duration,
    /// A snapshot is made after so many entries.
    pub snapshot_entries: u64,
    /// What the operator has set for the whole cluster; counts while this member leads.
    pub settings: Settings,
}

/// Starts a member.
///
/// `listener` is the port for members and agents. `fatal` is called, once and on another thread, when the member must
/// not go on (its disk failed): the process should end, with an error. The member runs until `shutdown`.
///
/// # Errors
/// When the data directory cannot be used, is used by another process, or is damaged.
pub fn start(
    config: Config,
    listener: TcpListener,
    registry: &Registry,
    shutdown: CancellationToken,
    fatal: impl FnOnce(replica::Error) + Send + 'static,
) -> Result<Control, replica::Error> {
    let Config { cluster, id, members, data_dir, tick, snapshot_entries, settings } = config;
    let disk = log::Dir::open(&data_dir)?;
    disk.claim(&cluster, id)?;
    let addresses = members.iter().filter(|(it, _)| **it != id).map(|(it, member)| (*it, member.link.clone()));
    let peers_config = peers::Config { cluster, id, addresses: addresses.collect() };

    let starting = replica::Starting::new();
    let inbox = starting.inbox();
    let peers = Peers::dial(&peers_config, &inbox);
    let mut replica_config = replica::Config::new(id, members.keys().copied().collect());
    replica_config.tick = tick;
    // A leader looks once in an election's time whether a quorum was heard of in the last one.
    let step_down = tick * 2 * replica_config.member.election_ticks.1 as u32;
    replica_config.member.snapshot_entries = snapshot_entries;
    let metrics = replica::Metrics::new(registry);
    let handle = starting.run(replica_config, Arc::new(disk), State::new, peers, metrics, fatal)?;

    let control = Control::new(handle, id, members, settings.node_loss_after_ms, registry);
    tokio::spawn(control.clone().run(settings, step_down.as_millis() as u64));
    tokio::spawn(accept(control.clone(), Listener::new(peers_config, inbox), listener, shutdown));
    Ok(control)
}

/// Takes connections of members and agents until `shutdown`; then stops the member.
async fn accept(control: Control, peers: Listener, listener: TcpListener, shutdown: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely; some will be free again.
                    tracing::warn!(%error, "cannot take a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (hub, peers) = (control.hub().clone(), peers.clone());
        tokio::spawn(async move {
            match peers.accept(stream).await {
                Ok(Accepted::Agent { protocol, stream }) => hub::serve(hub, stream, protocol).await,
                Ok(Accepted::Stream { ticket, relay, stream }) => hub.take(ticket, relay, stream).await,
                Ok(Accepted::Peer(_)) | Err(_) => {}
            }
        });
    }
    control.hub().sessions(crate::sessions::Sessions::close);
    peers.close();
    control.replica().stop();
}
