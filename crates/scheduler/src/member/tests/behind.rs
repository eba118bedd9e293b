//! A member that is far behind catches up, while others go on writing.

use super::*;

const COMMAND: usize = 256 << 10;

/// Lets three members write as fast as they can while the third is away, then be back; counts what it is sent.
struct Transfer {
    members: BTreeMap<u64, Member<Weight>>,
    network: VecDeque<Message>,
    now: Now,
    next: u64,
    /// Bytes and messages that went to the third.
    sent: (usize, usize),
    longest: usize,
    away: bool,
}

/// Counts commands and forgets them.
#[derive(Clone, Debug, Default)]
struct Weight {
    n: u64,
}

impl Machine for Weight {
    type Reply = ();
    type Event = ();
    type View = Self;

    fn apply(&mut self, _: u64, _: crate::machine::Stamp, _: &[u8]) -> Result<Outcome<Self>, Unreadable> {
        self.n += 1;
        Ok(Outcome { reply: (), event: None })
    }

    fn check(_: &[u8]) -> Result<(), Unreadable> {
        Ok(())
    }

    fn view(&self) -> Self {
        self.clone()
    }

    fn save(view: &Self) -> Vec<u8> {
        view.n.to_le_bytes().to_vec()
    }

    fn restore(data: &[u8]) -> Result<Self, Unreadable> {
        let data = data.try_into().map_err(|_| Unreadable { reason: "eight bytes".to_owned() })?;
        Ok(Self { n: u64::from_le_bytes(data) })
    }
}

impl Transfer {
    fn new() -> Self {
        let member = |id| {
            let config = Config {
                election_ticks: (10 + id as usize, 11 + id as usize),
                // The log has it all.
                snapshot_entries: 1 << 20,
                snapshot_bytes: 1 << 40,
                ..Config::new(id, vec![1, 2, 3])
            };
            (id, Member::new(config, Recovered::default(), Weight::default, Now::default()).unwrap())
        };
        let members = [member(1), member(2), member(3)].into();
        let (network, now) = (VecDeque::new(), Now::default());
        let mut it = Self { members, network, now, next: 0, sent: (0, 0), longest: 0, away: false };
        it.members.get_mut(&1).unwrap().handle(Input::Campaign, it.now);
        it.until(|it| it.members[&1].status().leading);
        it
    }

    fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..10_000 {
            if holds(self) {
                return;
            }
            self.round();
        }
        panic!("it does not come to that: {:?} sent, {} on their way", self.sent, self.network.len());
    }

    /// Everything that is on its way arrives, then a tick passes.
    fn round(&mut self) {
        for message in std::mem::take(&mut self.network) {
            let to = message.to;
            self.members.get_mut(&to).unwrap().handle(Input::Peer(message), self.now);
            self.drain(to);
        }
        self.now.steady_ms += 100;
        for id in 1..=3 {
            self.members.get_mut(&id).unwrap().handle(Input::Tick, self.now);
            self.drain(id);
        }
    }

    fn drain(&mut self, id: u64) {
        let mut sent = Vec::new();
        let member = self.members.get_mut(&id).unwrap();
        while let Some(ready) = member.ready() {
            sent.extend(ready.send);
            sent.extend(member.persisted(ready.number));
            member.apply().unwrap();
        }
        for message in sent {
            let bytes = crate::peers::frame_bytes(&message);
            self.longest = self.longest.max(bytes);
            if self.away && (message.to == 3 || id == 3) {
                continue;
            }
            if message.to == 3 {
                self.sent = (self.sent.0 + bytes, self.sent.1 + 1);
            }
            // What the wire does not take does not arrive.
            if bytes <= 16 << 20 {
                self.network.push_back(message);
            }
        }
    }

    fn write(&mut self) {
        self.next += 1;
        let payload = Payload::new(|bytes| {
            bytes.resize(COMMAND, 7);
            Ok::<_, ()>(())
        });
        let ticket = Ticket(self.next);
        self.members.get_mut(&1).unwrap().handle(Input::Submit(ticket, payload.unwrap()), self.now);
        self.drain(1);
    }
}

#[test]
fn a_member_far_behind_catches_up_under_writes_for_little_more_than_what_it_lacks() {
    let mut world = Transfer::new();
    world.away = true;
    for _ in 0..200 {
        world.write();
        world.round();
    }
    let lacks = (world.members[&1].applied().index - world.members[&3].applied().index) as usize * COMMAND;
    assert!(lacks > 3 * (16 << 20), "more than some frames: {lacks}");
    world.away = false;
    world.sent = (0, 0);
    let (mut written, mut rounds) = (0, 0);
    while world.members[&3].applied().index + 2 < world.members[&1].applied().index {
        world.write();
        world.round();
        (written, rounds) = (written + COMMAND, rounds + 1);
        assert!(rounds < 100, "it does not catch up: {:?} sent", world.sent);
    }
    let bare = lacks + written;
    let (bytes, n) = world.sent;
    println!("lacks {lacks}, written meanwhile {written}, sent {bytes} in {n} messages and {rounds} rounds");
    assert!(bytes <= bare + bare / 2, "sent {bytes} for {bare}");
    assert!(world.longest <= (1 << 20) + COMMAND, "one message had {} bytes", world.longest);
}
