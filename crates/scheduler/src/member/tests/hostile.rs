//! Members among others that say what cannot be true: nobody stops, and nobody is cut off.

use super::*;
use raft::eraftpb::{ConfState, Snapshot};

/// Numbers at which something may turn over.
fn number(rng: &mut Rng) -> u64 {
    let near = rng.below(4);
    match rng.below(8) {
        0 => near,
        1 => u64::MAX - near,
        2 => (1 << 63) + near,
        3 => (1 << 62) + near,
        4 => (1 << 33) + near,
        _ => rng.below(60),
    }
}

const KINDS: [MessageType; 19] = [
    MessageType::MsgHup,
    MessageType::MsgBeat,
    MessageType::MsgPropose,
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgSnapshot,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgUnreachable,
    MessageType::MsgSnapStatus,
    MessageType::MsgCheckQuorum,
    MessageType::MsgTransferLeader,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];

fn bytes(rng: &mut Rng) -> Vec<u8> {
    let length = rng.below(40);
    (0..length).map(|_| rng.below(5) as u8).collect()
}

/// Anything that can be written down as a message.
fn anything(rng: &mut Rng, from: u64, to: u64) -> Message {
    let mut message = Message::default();
    message.set_msg_type(KINDS[rng.below(KINDS.len() as u64) as usize]);
    (message.from, message.to) = (from, to);
    for field in [
        &mut message.term,
        &mut message.log_term,
        &mut message.index,
        &mut message.commit,
        &mut message.commit_term,
        &mut message.reject_hint,
        &mut message.request_snapshot,
    ] {
        if rng.chance(60) {
            *field = number(rng);
        }
    }
    message.reject = rng.chance(30);
    message.context = bytes(rng).into();
    let mut at = message.index;
    for _ in 0..rng.below(4) {
        at = if rng.chance(80) { at.wrapping_add(1) } else { number(rng) };
        let mut entry = Entry { index: at, term: number(rng), context: bytes(rng).into(), ..Entry::default() };
        entry.data = bytes(rng).into();
        entry.set_entry_type([EntryType::EntryNormal, EntryType::EntryConfChangeV2][rng.below(2) as usize]);
        message.mut_entries().push(entry);
    }
    if rng.chance(30) {
        let mut snapshot = Snapshot { data: bytes(rng).into(), ..Snapshot::default() };
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (number(rng), number(rng));
        let voters: Vec<u64> = (0..rng.below(4)).map(|_| rng.below(5)).collect();
        metadata.set_conf_state(ConfState::from((voters, Vec::new())));
        message.set_snapshot(snapshot);
    }
    message
}

/// Makes a true message one that cannot be.
fn twisted(mut message: Message, rng: &mut Rng) -> Message {
    let far = [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 62) + 1][rng.below(4) as usize];
    let kind = message.get_msg_type();
    match rng.below(6) {
        0 => message.term = far,
        1 => message.index = far,
        2 => message.commit = far,
        3 if !matches!(kind, MessageType::MsgPropose | MessageType::MsgReadIndex) => message.term = 0,
        4 => message.set_msg_type(MessageType::MsgUnreachable),
        _ if kind == MessageType::MsgSnapshot => match rng.below(3) {
            0 => message.mut_snapshot().data = vec![1; 3].into(),
            1 => message.mut_snapshot().mut_metadata().clear_conf_state(),
            _ => message.mut_snapshot().mut_metadata().term = 0,
        },
        _ if kind == MessageType::MsgAppend && !message.entries.is_empty() => {
            let entry = &mut message.mut_entries()[0];
            match rng.below(3) {
                0 => entry.index = far,
                1 => entry.term = far,
                _ => entry.data = vec![0xff; 3].into(),
            }
        }
        _ if kind == MessageType::MsgPropose => message.mut_entries()[0].data = vec![2; 20].into(),
        _ => message.term = far,
    }
    message
}

#[test]
fn three_members_stay_alive_whatever_impossible_things_are_said() {
    for seed in 1..=12 {
        let mut world = World::new(seed);
        let mut n_refused = 0;
        for _ in 0..4_000 {
            world.step(true);
            if !world.network.is_empty() && world.rng.chance(30) {
                let at = world.rng.below(world.network.len() as u64) as usize;
                let said = twisted(world.network[at].clone(), &mut world.rng);
                let to = said.to;
                let refused = |world: &World| world.seats[&to].life.as_ref().map_or(0, |it| it.0.n_refused());
                let before = refused(&world);
                world.input(to, Input::Peer(said));
                n_refused += refused(&world).saturating_sub(before);
            }
            world.check();
        }
        assert!(n_refused > 100, "{n_refused} messages refused, seed {seed}");
        let before = world.acknowledged.len();
        world.settle();
        world.check();
        assert!(world.acknowledged.len() > before + 100, "work goes on, seed {seed}");
    }
}

/// Lies that could be true may make members disagree, as only certificates prevent; but they must not end a process.
#[test]
fn no_message_ends_a_process() {
    for seed in 1..=400 {
        let mut world = World::new(seed);
        (0..300 + 5 * seed).for_each(|_| world.step(false));
        let victim = 1 + seed % 3;
        for _ in 0..60 {
            let from = 1 + (victim + world.rng.below(2)) % 3;
            let said = anything(&mut world.rng, from, victim);
            world.input(victim, Input::Peer(said));
            world.input(victim, Input::Tick);
        }
    }
}
