//! Members in a world of bad days: a network that loses, doubles and delays, disks that forget, starts and ends.

mod behind;
mod hostile;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::log::{Log, Memory, Options, write_snapshot};
use crate::machine::{Outcome, Stamp};

/// Remembers every command and its index.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ledger {
    lines: Vec<(u64, u64)>,
}

impl Machine for Ledger {
    type Reply = usize;
    type Event = u64;
    type View = Arc<Self>;

    fn apply(&mut self, index: u64, _: Stamp, command: &[u8]) -> Result<Outcome<Self>, Unreadable> {
        let number = u64::from_le_bytes(command.try_into().unwrap());
        self.lines.push((index, number));
        Ok(Outcome { reply: self.lines.len(), event: Some(number) })
    }

    fn check(command: &[u8]) -> Result<(), Unreadable> {
        if command.len() == 8 { Ok(()) } else { Err(unreadable()) }
    }

    fn view(&self) -> Self::View {
        Arc::new(self.clone())
    }

    fn save(view: &Self::View) -> Vec<u8> {
        let numbers = view.lines.iter().flat_map(|it| [it.0, it.1]);
        numbers.flat_map(u64::to_le_bytes).collect()
    }

    fn restore(data: &[u8]) -> Result<Self, Unreadable> {
        if !data.len().is_multiple_of(16) {
            return Err(unreadable());
        }
        let numbers = data.as_chunks::<8>().0.iter().map(|it| u64::from_le_bytes(*it));
        let numbers: Vec<_> = numbers.collect();
        let lines = numbers.as_chunks::<2>().0.iter().map(|it| (it[0], it[1]));
        Ok(Self { lines: lines.collect() })
    }
}

fn unreadable() -> Unreadable {
    Unreadable { reason: "no ledger has that".to_owned() }
}

fn now(ms: u64) -> Now {
    Now { steady_ms: ms, wall_ms: ms }
}

struct Rng(u64);

impl Rng {
    /// Returns a number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

struct Seat {
    disk: Memory,
    life: Option<(Member<Ledger>, Log)>,
    chore: Option<(Chore<Ledger>, u64)>,
    incarnation: u64,
}

/// Three members and everything between and below them. One seed decides all.
struct World {
    rng: Rng,
    seats: BTreeMap<u64, Seat>,
    network: Vec<Message>,
    cut: BTreeSet<(u64, u64)>,
    now: u64,
    next: u64,
    /// Per ticket: where it was asked, and the highest index acknowledged to anybody before.
    asked: BTreeMap<Ticket, (u64, u64)>,
    acknowledged: BTreeMap<u64, u64>,
    refused: BTreeSet<u64>,
    n_reads: u64,
    n_installed: u64,
    faults: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let seats = (1..=3).map(|id| {
            let seat = Seat { disk: Memory::new(), life: None, chore: None, incarnation: 0 };
            (id, seat)
        });
        let mut world = Self {
            rng: Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            seats: seats.collect(),
            network: Vec::new(),
            cut: BTreeSet::new(),
            now: 1_000_000,
            next: 0,
            asked: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            refused: BTreeSet::new(),
            n_reads: 0,
            n_installed: 0,
            faults: 10,
        };
        for id in 1..=3 {
            world.start(id);
        }
        world
    }

    fn start(&mut self, id: u64) {
        let seat = self.seats.get_mut(&id).unwrap();
        seat.incarnation += 1;
        let options = Options { segment_bytes: 4096 };
        let (log, recovered) = Log::open(Arc::new(seat.disk.clone()), options).unwrap();
        let config = Config {
            incarnation: seat.incarnation,
            // Nothing random: which member ticks when is up to the seed.
            election_ticks: (10 + id as usize, 11 + id as usize),
            patience_ms: 5_000,
            snapshot_entries: 20,
            keep_entries: 5,
            snapshot_ticks: 30,
            ..Config::new(id, vec![1, 2, 3])
        };
        let member = Member::new(config, recovered, Ledger::default, now(self.now)).unwrap();
        seat.life = Some((member, log));
    }

    fn crash(&mut self, id: u64) {
        let seat = self.seats.get_mut(&id).unwrap();
        seat.life = None;
        seat.chore = None;
        let rng = &mut self.rng;
        seat.disk.crash(|n| rng.below(n));
        // Some notice at once, and some are wrong.
        for other in 1..=3 {
            if other != id && self.rng.chance(50) {
                let gone = if self.rng.chance(80) { id } else { 1 + self.rng.below(3) };
                self.input(other, Input::Closed(gone));
            }
        }
        // Whoever asked there gets no answer.
        self.asked.retain(|_, it| it.0 != id);
    }

    fn input(&mut self, id: u64, input: Input) {
        let now = now(self.now);
        if let Some((member, _)) = &mut self.seats.get_mut(&id).unwrap().life {
            member.handle(input, now);
            self.drain(id);
        }
    }

    /// Does what the thread of a real member does.
    fn drain(&mut self, id: u64) {
        loop {
            let seat = self.seats.get_mut(&id).unwrap();
            let Some((member, _)) = &mut seat.life else { return };
            let ready = member.ready();
            let idle = ready.is_none();
            let mut ready = ready.unwrap_or_default();
            for message in std::mem::take(&mut ready.send) {
                self.send(message);
            }
            if self.faults > 0 && !ready.frame.is_empty() && self.rng.below(400) == 0 {
                return self.crash(id);
            }
            let seat = self.seats.get_mut(&id).unwrap();
            let Some((member, log)) = &mut seat.life else { return };
            let mut send = Vec::new();
            if !idle {
                if let Some(file) = ready.install {
                    let next_frame = log.next_number();
                    write_snapshot(&seat.disk, &SnapshotFile { next_frame, ..file }).unwrap();
                    self.n_installed += 1;
                    if self.faults > 0 && self.rng.below(4) == 0 {
                        return self.crash(id);
                    }
                }
                if !ready.frame.is_empty() {
                    log.append(&ready.frame).unwrap();
                }
                send.extend(member.persisted(ready.number));
            }
            let output = member.apply().unwrap();
            if let Some(chore) = output.chore {
                seat.chore = Some((chore, log.next_number()));
            }
            if let Some(index) = output.compact {
                log.compact(index).unwrap();
            }
            let applied = member.applied().index;
            for message in send {
                self.send(message);
            }
            for (ticket, answer) in output.answers {
                self.answered(ticket, answer.map(|it| it.index));
            }
            for (ticket, res) in output.reads {
                self.read(ticket, res, applied);
            }
            if idle {
                return;
            }
        }
    }

    fn send(&mut self, message: Message) {
        if self.cut.contains(&(message.from, message.to)) || self.rng.chance(self.faults) {
            return;
        }
        if self.rng.chance(self.faults / 2) {
            self.network.push(message.clone());
        }
        self.network.push(message);
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<u64, Refused>) {
        let known = self.asked.remove(&ticket);
        assert!(known.is_some(), "{ticket:?} is answered once");
        match answer {
            Ok(index) => {
                self.acknowledged.insert(ticket.0, index);
            }
            Err(Refused::NoLeader) => {
                self.refused.insert(ticket.0);
            }
            Err(_) => {}
        }
    }

    /// R2: a read sees everything acknowledged before it was asked.
    fn read(&mut self, ticket: Ticket, res: Result<(), Refused>, applied: u64) {
        let (_, least) = self.asked.remove(&ticket).expect("answered once");
        if res.is_ok() {
            self.n_reads += 1;
            assert!(applied >= least, "read at {applied}, acknowledged was {least}");
        }
    }

    fn ask(&mut self, id: u64) {
        if self.seats[&id].life.is_none() {
            return;
        }
        self.next += 1;
        let ticket = Ticket(self.next);
        let newest = self.acknowledged.values().max().copied().unwrap_or(0);
        self.asked.insert(ticket, (id, newest));
        let input = if self.rng.chance(70) {
            let number = self.next;
            let write = |bytes: &mut Vec<u8>| -> Result<(), ()> {
                bytes.extend_from_slice(&number.to_le_bytes());
                Ok(())
            };
            Input::Submit(ticket, Payload::new(write).unwrap())
        } else {
            Input::Read(ticket)
        };
        self.input(id, input);
    }

    fn chore(&mut self, id: u64) {
        let seat = self.seats.get_mut(&id).unwrap();
        if let Some((chore, next_frame)) = seat.chore.take() {
            let file = chore.run(next_frame);
            write_snapshot(&seat.disk, &file).unwrap();
            self.input(id, Input::Snapshotted(Some(file)));
        }
    }

    fn step(&mut self, with_faults: bool) {
        self.now += self.rng.below(20);
        let id = 1 + self.rng.below(3);
        match self.rng.below(100) {
            0..30 => self.input(id, Input::Tick),
            30..80 => (0..8).for_each(|_| self.deliver()),
            80..90 => self.ask(id),
            90..95 => self.chore(id),
            _ if !with_faults => {}
            95 if self.seats[&id].life.is_some() => self.crash(id),
            96 | 97 if self.seats[&id].life.is_none() => self.start(id),
            98 => {
                let other = 1 + self.rng.below(3);
                self.cut.insert((id, other));
            }
            99 => self.cut.clear(),
            _ => {}
        }
    }

    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        // Mostly in order, as TCP delivers, sometimes not.
        let at = if self.rng.chance(self.faults) { self.rng.below(self.network.len() as u64) } else { 0 };
        let message = self.network.remove(at as usize);
        self.input(message.to, Input::Peer(message));
    }

    /// Agreement, exactly once, durability.
    fn check(&self) {
        let ledgers: Vec<_> = self.seats.values().filter_map(|it| it.life.as_ref()).collect();
        let longest = ledgers.iter().map(|it| &it.0.machine().lines).max_by_key(|it| it.len());
        let Some(longest) = longest else { return };
        for (member, _) in &ledgers {
            let lines = &member.machine().lines;
            assert_eq!(lines[..], longest[..lines.len()], "members agree");
        }
        let mut numbers: Vec<_> = longest.iter().map(|it| it.1).collect();
        numbers.sort_unstable();
        let n = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), n, "nothing is applied twice");
        for number in &self.refused {
            assert!(numbers.binary_search(number).is_err(), "what was refused is not applied");
        }
    }

    fn heal(&mut self) {
        self.faults = 0;
        self.cut.clear();
        for id in 1..=3 {
            if self.seats[&id].life.is_none() {
                self.start(id);
            }
        }
    }

    /// Runs without faults until everybody has applied the same, with everything acknowledged in it.
    fn settle(&mut self) {
        self.heal();
        for _ in 0..20_000 {
            self.step(false);
        }
        let ledgers: Vec<_> = self.seats.values().map(|it| it.life.as_ref().unwrap().0.machine()).collect();
        let longest = ledgers.iter().map(|it| it.lines.len()).max().unwrap();
        for ledger in &ledgers {
            let behind = longest - ledger.lines.len();
            assert!(behind < 200, "{behind} behind, {} messages on their way", self.network.len());
        }
        let lines: BTreeMap<_, _> = ledgers.iter().flat_map(|it| &it.lines).map(|it| (it.1, it.0)).collect();
        for (number, index) in &self.acknowledged {
            assert_eq!(lines.get(number), Some(index), "what was acknowledged is there");
        }
    }
}

#[test]
fn every_history_comes_to_rest() {
    let (mut n_acknowledged, mut n_reads, mut n_installed) = (0, 0, 0);
    for seed in 1..=60 {
        let mut world = World::new(seed);
        for _ in 0..8_000 {
            world.step(true);
            world.check();
        }
        let before = world.acknowledged.len();
        world.settle();
        world.check();
        assert!(world.acknowledged.len() > before + 100, "work goes on after the faults, seed {seed}");
        n_acknowledged += world.acknowledged.len();
        n_reads += world.n_reads;
        n_installed += world.n_installed;
    }
    assert!(n_reads > 1_000, "{n_reads} reads");
    assert!(n_installed > 20, "{n_installed} snapshots installed");
    println!("{n_acknowledged} acknowledged, {n_reads} reads, {n_installed} snapshots installed");
}

#[test]
fn a_member_that_lost_its_disk_is_sent_everything_anew() {
    for seed in 1..=20 {
        let mut world = World::new(seed);
        world.faults = 0;
        (0..2_000 + 100 * seed).for_each(|_| world.step(false));
        let wiped = 1 + seed % 3;
        world.crash(wiped);
        world.seats.get_mut(&wiped).unwrap().disk = Memory::new();
        world.start(wiped);
        world.settle();
        world.check();
    }
}

#[test]
fn one_seed_is_one_history() {
    let run = |seed| {
        let mut world = World::new(seed);
        (0..3_000).for_each(|_| world.step(true));
        let states = world.seats.values().map(|it| it.life.as_ref().map(|it| it.0.hard_state()));
        (format!("{:?}", states.collect::<Vec<_>>()), world.acknowledged)
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn others_hear_what_is_committed_with_what_comes_next() {
    let mut world = World::new(1);
    world.faults = 0;
    (0..3_000).for_each(|_| world.step(false));
    let deliver_all = |world: &mut World| {
        let mut n = 0;
        while !world.network.is_empty() {
            world.deliver();
            n += 1;
        }
        n
    };
    deliver_all(&mut world);
    let member = |world: &World, id: u64| world.seats[&id].life.as_ref().unwrap().0.applied().index;
    let leader = (1..=3).find(|it| world.seats[it].life.as_ref().unwrap().0.status().leading).unwrap();
    let write = |bytes: &mut Vec<u8>| -> Result<(), ()> {
        bytes.extend_from_slice(&[9; 8]);
        Ok(())
    };
    world.asked.insert(Ticket(1 << 32), (leader, 0));
    world.input(leader, Input::Submit(Ticket(1 << 32), Payload::new(write).unwrap()));
    assert_eq!(deliver_all(&mut world), 4, "each of the others is asked, and answers");
    let index = world.acknowledged[&(1 << 32)];
    let applied: Vec<_> = (1..=3).filter(|it| member(&world, *it) >= index).collect();
    assert_eq!(applied, [leader]);
    world.now += 100;
    world.input(leader, Input::Tick);
    deliver_all(&mut world);
    assert!((1..=3).all(|it| member(&world, it) >= index), "a heartbeat tells them");
}

#[test]
fn a_single_member_leads_at_once_and_answers() {
    let config = Config::new(1, vec![1]);
    let mut member = Member::new(config, Recovered::default(), Ledger::default, now(0)).unwrap();
    let payload = Payload::new(|it: &mut Vec<u8>| -> Result<(), ()> {
        it.extend_from_slice(&7_u64.to_le_bytes());
        Ok(())
    });
    member.handle(Input::Submit(Ticket(1), payload.unwrap()), now(10));
    member.handle(Input::Read(Ticket(2)), now(10));
    let (mut answers, mut reads) = (Vec::new(), Vec::new());
    while let Some(ready) = member.ready() {
        member.persisted(ready.number);
        let output = member.apply().unwrap();
        answers.extend(output.answers);
        reads.extend(output.reads);
    }
    assert_eq!(answers, [(Ticket(1), Ok(Answer { index: 2, reply: 1 }))]);
    assert_eq!(reads, [(Ticket(2), Ok(()))]);
    assert!(member.status().leading);
}

#[test]
fn a_command_that_is_bound_to_its_term_is_refused_where_nobody_leads() {
    let config = Config::new(1, vec![1, 2, 3]);
    let mut member = Member::new(config, Recovered::default(), Ledger::default, now(0)).unwrap();
    let payload = || {
        Payload::new(|it: &mut Vec<u8>| -> Result<(), ()> {
            it.extend_from_slice(&[7; 8]);
            Ok(())
        })
        .unwrap()
    };
    member.handle(Input::Submit(Ticket(1), payload()), now(10));
    member.handle(Input::Submit(Ticket(2), payload().bound()), now(10));
    member.ready();
    let answers = member.apply().unwrap().answers;
    assert_eq!(answers, [(Ticket(2), Err(Refused::NoLeader))], "the other one waits for a leader");
}
