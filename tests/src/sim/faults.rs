//! How bad a world is: plain numbers, drawn from its seed.
//!
//! Each world has a random subset of the faults, at random rates (swarm testing): a world without partitions but with
//! a disk that tears every tail finds other bugs than one that has a little of everything.

use super::rng::Rng;
use crate::mutants::Mutant;

/// The shape and the faults of one world. A rate is the mean time between two such faults in milliseconds; 0: never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Members of the control plane.
    pub n_members: usize,
    /// Nodes with an agent and a Docker engine.
    pub n_agents: usize,
    /// Users.
    pub n_clients: usize,
    /// From the start to the end of all faults and all requests.
    pub storm_ms: u64,
    /// From then on, the longest time until everything must be as wanted.
    pub settle_ms: u64,
    /// From one request of a client to its next.
    pub think_ms: u64,
    /// Messages take so long, from and to.
    pub delay_ms: (u64, u64),
    /// So many of a thousand messages are lost.
    pub loss: u64,
    /// So many of a thousand messages between members arrive twice.
    pub duplicates: u64,
    /// Whether messages between members may overtake each other.
    pub reorder: bool,
    /// Partitions, symmetric or one-way.
    pub partition_ms: u64,
    /// Power cuts of a member, or of all.
    pub crash_ms: u64,
    /// So many of a thousand crashes happen in the middle of a write.
    pub torn: u64,
    /// A member stands still for some seconds.
    pub pause_ms: u64,
    /// Writing to disk takes so long, from and to.
    pub disk_ms: (u64, u64),
    /// Restarts of an agent's process.
    pub agent_ms: u64,
    /// A Docker daemon hangs or ends for some seconds.
    pub daemon_ms: u64,
    /// A container ends by itself, of want of memory, or is removed by somebody.
    pub container_ms: u64,
    /// So many of a thousand starts fail.
    pub start_fails: u64,
    /// So many of a thousand pulls fail.
    pub pull_fails: u64,
    /// So many of a thousand probes get no answer, whoever is asked.
    pub missed_probes: u64,
    /// How long a new instance must live before it counts.
    pub min_live_ms: u64,
    /// A whole node is off for some time: agent and daemon.
    pub node_ms: u64,
    /// One node goes at the end of all faults and never comes back.
    pub node_gone: bool,
    /// The engine of this node never makes or starts what others can, also when all faults have ended.
    pub sick_node: Option<usize>,
    /// The clocks of members differ by up to this.
    pub skew_ms: u64,
    /// The clock of a member, or of all, is set to another hour, day or year.
    pub clock_ms: u64,
    /// So many of a thousand ticks of a member are left out.
    pub skipped_ticks: u64,
    /// A member makes a snapshot after so many entries.
    pub snapshot_entries: u64,
    /// Size of a log segment.
    pub segment_bytes: u64,
    /// Whether agents have a Consul to tell.
    pub consul: bool,
    /// A node is given up after so long a silence.
    pub loss_after_ms: u64,
    /// Agents and the leader are cut off from each other for some seconds, or a member's disk is full.
    pub silence_ms: u64,
    /// The directory of a node's agent is copied to another machine, for some seconds.
    pub copy_ms: u64,
    /// An operator has all orphans removed.
    pub operator_ms: u64,
    /// So many of a thousand agents that end start under another name.
    pub renames: u64,
    /// So many of a thousand lost nodes are forgotten before they come back.
    pub forgets: u64,
    /// Whether nodes begin with containers of an earlier life.
    pub strangers: bool,
    /// The longest frame that agents take.
    pub frame_bytes: usize,
}

impl Options {
    /// What a seed makes of a world.
    pub fn draw(rng: &mut Rng) -> Self {
        // Most worlds are of the size that most clusters are.
        let n_members = *rng.pick(&[1, 3, 3, 3, 3, 3, 5]);
        let slow_disk = rng.chance(300);
        let mut rate = |likely: u64, low: u64, high: u64| if rng.chance(likely) { rng.range(low, high) } else { 0 };
        let partition_ms = rate(600, 5_000, 30_000);
        let crash_ms = rate(700, 4_000, 30_000);
        let pause_ms = rate(300, 8_000, 40_000);
        let agent_ms = rate(500, 5_000, 40_000);
        let daemon_ms = rate(400, 10_000, 60_000);
        let container_ms = rate(600, 2_000, 20_000);
        let node_ms = rate(400, 20_000, 60_000);
        let start_fails = rate(400, 10, 200);
        let pull_fails = rate(300, 10, 300);
        let loss = rate(600, 1, 100);
        let duplicates = rate(400, 1, 100);
        let torn = rate(700, 100, 1_000);
        let skew_ms = rate(400, 10, 5_000);
        let skipped_ticks = rate(500, 10, 300);
        let clock_ms = rate(400, 4_000, 40_000);
        let missed_probes = rate(400, 5, 100);
        let copy_ms = rate(250, 5_000, 30_000);
        let operator_ms = rate(400, 10_000, 60_000);
        let renames = rate(400, 100, 500);
        let forgets = rate(400, 200, 800);
        let n_agents = rng.range(2, 6) as usize;
        // One of two would be half of all.
        let sick_node = (n_agents > 2 && rng.chance(250)).then(|| rng.below(n_agents as u64) as usize);
        Self {
            n_members,
            n_agents,
            sick_node,
            n_clients: rng.range(1, 3) as usize,
            storm_ms: rng.range(40_000, 120_000),
            settle_ms: 180_000,
            think_ms: rng.range(500, 8_000),
            delay_ms: (1, rng.range(2, 80)),
            // A copy is judged where whoever lives is heard.
            loss: if copy_ms > 0 { 0 } else { loss },
            duplicates,
            reorder: rng.chance(300),
            partition_ms,
            crash_ms,
            torn,
            pause_ms,
            disk_ms: if slow_disk { (5, 200) } else { (1, 5) },
            agent_ms,
            daemon_ms,
            container_ms,
            start_fails,
            pull_fails,
            missed_probes,
            min_live_ms: *rng.pick(&[0, 2_000, 5_000, 5_000, 5_000]),
            node_ms,
            node_gone: rng.chance(250),
            skew_ms,
            clock_ms,
            skipped_ticks,
            snapshot_entries: *rng.pick(&[5, 20, 100, 10_000]),
            segment_bytes: *rng.pick(&[1 << 12, 1 << 14, 1 << 16]),
            consul: rng.chance(500),
            loss_after_ms: *rng.pick(&[2_000, 3_000, 6_000, 10_000, 15_000]),
            silence_ms: if rng.chance(500) { rng.range(3_000, 20_000) } else { 0 },
            copy_ms,
            operator_ms,
            renames,
            forgets,
            strangers: rng.chance(300),
            frame_bytes: *rng.pick(&[1 << 15, api::link::MAX_FRAME_BYTES]),
        }
    }

    /// Makes the faults likely that a planted one needs to show itself.
    pub fn suit(&mut self, mutant: Mutant) {
        match mutant {
            Mutant::AckBeforeSync | Mutant::ForgetfulDisk => {
                self.crash_ms = 4_000;
                self.disk_ms = (50, 200);
                self.snapshot_entries = 10_000;
            }
            Mutant::StaleLeader => {
                self.n_members = 3;
                self.partition_ms = 5_000;
                self.pause_ms = 8_000;
            }
            Mutant::StopsWhenCutOff | Mutant::ObeysOldGenerations => self.partition_ms = 5_000,
            Mutant::ReadsLocally => {
                self.n_members = 5;
                self.partition_ms = 5_000;
                self.think_ms = 500;
            }
            Mutant::ForgetsDelays => {
                self.think_ms = 8_000;
                self.container_ms = 1_500;
                self.node_gone = false;
            }
            Mutant::NeverLosesNodes => self.node_gone = true,
            Mutant::CountsByWallClocks => {
                self.skew_ms = 0;
                self.clock_ms = 8_000;
            }
            Mutant::ForgetsFailures => {
                self.n_agents = self.n_agents.max(4);
                self.sick_node = Some(1);
                self.node_gone = false;
            }
            Mutant::SendsWithoutBound => {
                // Much is written while a member is away, and the log keeps it.
                self.n_members = 3;
                self.n_clients = 3;
                self.think_ms = 50;
                self.partition_ms = 4_000;
                self.snapshot_entries = 5_000;
            }
            Mutant::CountsAtOnce => self.min_live_ms = 5_000,
            Mutant::KeepsSessions => {
                self.n_members = 3;
                self.partition_ms = 4_000;
                self.loss = 0;
            }
            Mutant::HearsOnlyTheRegistered | Mutant::NeverRelays => {
                self.n_members = 3;
                self.silence_ms = 3_000;
                self.loss = 0;
            }
            Mutant::WaitsAsLongAsEver => {
                self.n_members = 3;
                self.loss_after_ms = 2_000;
                self.crash_ms = 4_000;
                self.loss = 0;
            }
            Mutant::WelcomesCopies => {
                self.copy_ms = 8_000;
                self.partition_ms = 0;
                self.silence_ms = 0;
                self.pause_ms = 0;
                self.loss = 0;
            }
            Mutant::IdentityByName => {
                self.agent_ms = 5_000;
                self.renames = 500;
            }
            Mutant::KeepsOrphans | Mutant::HidesOrphans => {
                self.consul = true;
                self.strangers = true;
            }
            Mutant::KeepsOldNames => {
                self.consul = true;
                self.agent_ms = 5_000;
                self.renames = 500;
            }
            Mutant::AssignsInOneFrame => self.frame_bytes = 1 << 11,
            _ => {}
        }
    }
}
