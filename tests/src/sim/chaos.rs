//! What goes wrong, and how it ends.

use super::docker::Daemon;
use super::network::Place;
use super::seats::Seat;
use super::world::{Event, Fault, Undo, World};

impl World {
    pub(super) fn plan_faults(&mut self) {
        let all = [
            Fault::Partition,
            Fault::Crash,
            Fault::Pause,
            Fault::Agent,
            Fault::Daemon,
            Fault::Container,
            Fault::Node,
            Fault::Clock,
            Fault::Silence,
            Fault::Copy,
            Fault::Operator,
        ];
        for fault in all {
            self.plan_fault(fault);
        }
    }

    fn plan_fault(&mut self, fault: Fault) {
        let mean = match fault {
            Fault::Partition => self.options.partition_ms,
            Fault::Crash => self.options.crash_ms,
            Fault::Pause => self.options.pause_ms,
            Fault::Agent => self.options.agent_ms,
            Fault::Daemon => self.options.daemon_ms,
            Fault::Container => self.options.container_ms,
            Fault::Node => self.options.node_ms,
            Fault::Clock => self.options.clock_ms,
            Fault::Silence => self.options.silence_ms,
            Fault::Copy => self.options.copy_ms,
            Fault::Operator => self.options.operator_ms,
        };
        if mean > 0 {
            let ms = self.rng.around(mean);
            self.after(ms, Event::Fault(fault));
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        if self.calm {
            return;
        }
        self.plan_fault(fault);
        let node = self.rng.below(self.options.n_agents as u64) as usize;
        let member = self.rng.range(1, self.options.n_members as u64);
        // A leader that cannot hear the original takes its copy for the one that is left, as it must.
        let hides = match fault {
            Fault::Partition | Fault::Silence | Fault::Pause => self.copied.is_some(),
            Fault::Agent | Fault::Node => self.spares_copied(node),
            _ => false,
        };
        if hides {
            return;
        }
        self.figures.faults += 1;
        match fault {
            Fault::Copy => self.copy_node(node),
            Fault::Operator => self.remove_orphans(),
            Fault::Partition => self.partition(),
            Fault::Silence => self.silence(),
            Fault::Crash => {
                if self.rng.chance(150) {
                    let all: Vec<u64> = self.seats.keys().copied().collect();
                    for id in all {
                        self.crash_member(id);
                        self.member_will_be_back(id);
                    }
                } else if self.rng.chance(self.options.torn) {
                    self.light_fuse(member);
                } else if self.is_alive(member) {
                    self.crash_member(member);
                    self.member_will_be_back(member);
                }
            }
            Fault::Pause => {
                let until = self.now + self.rng.range(500, 6_000);
                self.say(format_args!("member {member} stands still until {until}"));
                if let Some(seat) = self.seats.get_mut(&member) {
                    seat.paused_until = until;
                }
            }
            Fault::Agent => {
                self.end_agent(node);
                if self.rng.chance(self.options.renames) {
                    self.rename_node(node);
                }
                let ms = self.rng.range(10, 12_000);
                self.after(ms, Event::Undo(Undo::Agent(node)));
            }
            Fault::Daemon => {
                let engine = &mut self.nodes[node].engine;
                if self.rng.chance(500) {
                    engine.daemon = Daemon::Hung;
                } else {
                    engine.end_daemon();
                }
                let daemon = engine.daemon;
                self.say(format_args!("the daemon of n{node} is {daemon:?}"));
                let ms = self.rng.range(100, 15_000);
                self.after(ms, Event::Undo(Undo::Daemon(node)));
            }
            Fault::Container => self.hurt_container(node),
            Fault::Node => {
                self.say(format_args!("n{node} is off"));
                self.end_agent(node);
                self.nodes[node].engine.power_off();
                self.nodes[node].off = true;
                let ms = self.rng.range(2_000, 30_000);
                self.after(ms, Event::Undo(Undo::Node(node)));
            }
            Fault::Clock => self.set_clocks(member),
        }
    }

    /// Sets a member's wall clock, or all, to a time that is not.
    fn set_clocks(&mut self, member: u64) {
        let hours = *self.rng.pick(&[1, 24, 2 * 365 * 24]);
        let ms = if self.rng.chance(500) { hours * 3_600_000 } else { -hours * 3_600_000 };
        let all = self.rng.chance(300);
        self.say(format_args!("the clock of member {member} is set by {hours} h to {ms}, all: {all}"));
        for (_, seat) in self.seats.iter_mut().filter(|it| all || *it.0 == member) {
            seat.jump_ms = ms;
        }
        self.clocks_right_since = None;
        let ms = self.rng.range(500, 20_000);
        self.after(ms, Event::Undo(Undo::Clocks));
    }

    fn correct_clocks(&mut self) {
        self.seats.values_mut().for_each(|it| it.jump_ms = 0);
        self.clocks_right_since.get_or_insert(self.now);
    }

    /// The leader's port for agents is closed to them for a while, or its disk has no room.
    fn silence(&mut self) {
        let leads = |it: &Seat| it.life.as_ref().is_some_and(|it| it.leader.is_some());
        let Some(id) = self.seats.iter().find(|it| leads(it.1)).map(|it| *it.0) else { return };
        let until = self.now + self.rng.range(500, 20_000);
        if self.rng.chance(400) {
            self.say(format_args!("the disk of member {id} is full until {until}"));
            if let Some(seat) = self.seats.get_mut(&id) {
                seat.full_until = until;
            }
            return;
        }
        self.say(format_args!("no agent reaches member {id}"));
        let one_way = self.rng.chance(300);
        for n in 0..self.options.n_agents {
            self.network.cut(Place::Member(id), Place::Node(n));
            if !one_way {
                self.network.cut(Place::Node(n), Place::Member(id));
            }
        }
        self.at(until, Event::Undo(Undo::Partition));
    }

    fn partition(&mut self) {
        let members = (1..=self.options.n_members as u64).map(Place::Member);
        let nodes = (0..self.options.n_agents).map(Place::Node);
        let clients = (0..self.options.n_clients).map(Place::Client);
        let all: Vec<Place> = members.chain(nodes).chain(clients).collect();
        let one_way = self.rng.chance(300);
        let alone = self.rng.chance(400);
        let single = *self.rng.pick(&all);
        let side: Vec<bool> = all.iter().map(|it| if alone { *it == single } else { self.rng.chance(500) }).collect();
        for (a, a_side) in all.iter().zip(&side) {
            for (b, b_side) in all.iter().zip(&side) {
                if *a_side && !*b_side {
                    self.network.cut(*a, *b);
                    if !one_way {
                        self.network.cut(*b, *a);
                    }
                }
            }
        }
        let cut: Vec<_> = all.iter().zip(&side).filter(|it| *it.1).map(|it| *it.0).collect();
        self.say(format_args!("a partition: {cut:?} are cut off, one way: {one_way}"));
        let ms = self.rng.range(200, 15_000);
        self.after(ms, Event::Undo(Undo::Partition));
    }

    pub(super) fn member_will_be_back(&mut self, id: u64) {
        let ms = self.rng.range(50, 8_000);
        self.after(ms, Event::Undo(Undo::Member(id)));
    }

    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Partition => self.network.heal(),
            Undo::Member(id) => self.start_member(id),
            Undo::Daemon(n) => {
                if !self.nodes[n].off {
                    self.nodes[n].engine.daemon = Daemon::Up;
                    self.work_off(n);
                }
            }
            Undo::Node(n) if self.calm && self.nodes[n].off && self.options.node_gone => {}
            Undo::Node(n) => {
                if self.nodes[n].off && self.rng.chance(self.options.forgets) {
                    self.forget_node(n);
                }
                self.nodes[n].off = false;
                self.nodes[n].engine.daemon = Daemon::Up;
                self.work_off(n);
                self.start_agent(n);
            }
            Undo::Agent(n) => self.start_agent(n),
            Undo::Copy => self.stop_copy(),
            Undo::Clocks => self.correct_clocks(),
            Undo::Everything => self.heal(),
        }
    }

    /// From now on nothing goes wrong any more.
    fn heal(&mut self) {
        self.say(format_args!("all is healed"));
        self.options.loss = 0;
        self.options.duplicates = 0;
        self.network.heal();
        self.correct_clocks();
        self.stop_copy();
        let members: Vec<u64> = self.seats.keys().copied().collect();
        for id in members {
            if let Some(seat) = self.seats.get_mut(&id) {
                seat.paused_until = 0;
                seat.full_until = 0;
                seat.extinguish();
            }
            self.start_member(id);
        }
        for n in 0..self.options.n_agents {
            self.undo(Undo::Node(n));
        }
        self.calm = true;
        if self.options.node_gone {
            let n = self.rng.below(self.options.n_agents as u64) as usize;
            self.say(format_args!("n{n} is gone for good"));
            self.end_agent(n);
            self.nodes[n].engine.power_off();
            self.nodes[n].off = true;
        }
    }
}
