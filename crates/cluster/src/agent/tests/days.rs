//! Random days: answers come late and in any order, containers die, agents restart, connections break.

use super::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A small generator, so that a number names a whole random day (D. Lehmer; modulus 2^64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A Docker engine that answers when it likes, and ends containers by itself.
#[derive(Default)]
struct World {
    containers: BTreeMap<InstanceId, Container>,
    orders: BTreeMap<InstanceId, Assignment>,
    asked: Vec<Output>,
    removed: Vec<InstanceId>,
    /// What these left behind is kept, or may be given up.
    kept: BTreeSet<InstanceId>,
    /// So often it could not be kept whole.
    partly: BTreeMap<InstanceId, u32>,
}

impl World {
    fn perform(&mut self, output: Output, dice: &mut Dice, seed: u64) -> Option<Input> {
        let away = dice.roll(6) == 0;
        let message = || "away".to_owned();
        Some(match output {
            Output::List { epoch: _ } if away => Input::ListFailed { message: message() },
            Output::List { epoch } => {
                let listed = |(instance, it): (&InstanceId, &Container)| {
                    let listing = match it {
                        Container::Running { ip, ipv6 } => Listing::Running { ip: ip.clone(), ipv6: ipv6.clone() },
                        Container::Exited(_) => Listing::Ended,
                        _ => Listing::Created,
                    };
                    Listed { instance: *instance, listing, maker: Maker::default() }
                };
                Input::Listed { epoch, containers: self.containers.iter().map(listed).collect() }
            }
            Output::Inspect { instance, epoch } if away => {
                Input::Inspected { instance, epoch, container: Err(message()) }
            }
            Output::Inspect { instance, epoch } => {
                Input::Inspected { instance, epoch, container: Ok(self.at(instance)) }
            }
            Output::Start { assignment } => {
                let instance = assignment.instance;
                let done = match (away, dice.roll(8)) {
                    (true, 0..=3) => Done::Unavailable { message: message() },
                    (false, 0) => Done::Refused { message: "no".into(), container: self.at(instance) },
                    (away, _) => {
                        if matches!(self.at(instance), Container::Absent | Container::Created) {
                            assert!(!self.orders[&instance].started, "started again, seed {seed}");
                            self.containers.insert(instance, running());
                        }
                        if away { Done::Unavailable { message: message() } } else { Done::Now(self.at(instance)) }
                    }
                };
                Input::Done { instance, result: done }
            }
            Output::Stop { instance, .. } => {
                assert!(self.orders[&instance].stop, "stopped without an order, seed {seed}");
                if !away && self.at(instance) == running() {
                    self.containers.insert(instance, exited(143));
                }
                let result = if away { Done::Unavailable { message: message() } } else { Done::Now(self.at(instance)) };
                Input::Done { instance, result }
            }
            Output::Keep { instance, .. } => {
                let result = match (away, dice.roll(4)) {
                    (true, _) => Keeping::Unavailable { message: message() },
                    (false, _) if self.at(instance) == Container::Absent => Keeping::Gone,
                    (false, 0) => Keeping::Partly { message: message(), evidence: Arc::default() },
                    (false, _) => {
                        self.kept.insert(instance);
                        Keeping::Safe(Arc::default())
                    }
                };
                // What cannot be had is given up in the end.
                if let Keeping::Partly { .. } = result {
                    let n = self.partly.entry(instance).or_default();
                    *n += 1;
                    if *n > 3 {
                        self.kept.insert(instance);
                    }
                }
                Input::Kept { instance, result }
            }
            Output::Remove { instance } => {
                let kept = self.kept.contains(&instance) || !matches!(self.at(instance), Container::Exited(_));
                assert!(kept, "removed before what it left behind was kept, seed {seed}");
                assert_ne!(self.at(instance), running(), "removed while it ran, seed {seed}");
                if away {
                    return Some(Input::Done { instance, result: Done::Unavailable { message: message() } });
                }
                self.containers.remove(&instance);
                Input::Done { instance, result: Done::Now(Container::Absent) }
            }
            Output::Report { sequence, observations, .. } => {
                for Observation { instance, seen, .. } in observations {
                    match seen {
                        Seen::Removed => {
                            assert!(self.orders[&instance].stop, "reported removed without an order, seed {seed}");
                            assert_eq!(self.at(instance), Container::Absent, "reported removed too early, seed {seed}");
                            self.removed.push(instance);
                        }
                        Seen::Running { .. } => {
                            self.orders.get_mut(&instance).expect("ordered").started = true;
                        }
                        Seen::Ended(_) | Seen::Staging { .. } => {}
                    }
                }
                Input::Reported { sequence }
            }
            Output::Publish { revision, .. } if dice.roll(2) == 0 => Input::Published { revision },
            Output::Publish { .. } => Input::PublishFailed,
            Output::Reconnect { .. } => Input::Connected { cluster: CLUSTER },
            _ => return None,
        })
    }

    fn at(&self, instance: InstanceId) -> Container {
        self.containers.get(&instance).cloned().unwrap_or(Container::Absent)
    }
}

/// Answers come late and in any order, containers die, agents restart, connections break; then all is well again.
fn check_day(seed: u64) {
    let mut dice = Dice(seed);
    let mut world = World::default();
    let mut now = Timestamp(1_000_000);
    let mut agent = Agent::new(settings(true), Saved::default());
    let mut generation = 1;
    agent.handle(Input::Connected { cluster: CLUSTER }, now);
    for step in 0..600 {
        let calm = step > 400;
        now = now.plus_ms(dice.roll(2_000));
        let input = match dice.roll(if calm { 3 } else { 12 }) {
            1 | 2 if world.asked.is_empty() => Input::Tick,
            1..=6 if !world.asked.is_empty() => {
                let n = dice.roll(world.asked.len() as u64) as usize;
                let output = world.asked.swap_remove(n);
                let mut fair = Dice(1);
                let dice = if calm { &mut fair } else { &mut dice };
                let Some(input) = world.perform(output, dice, seed) else { continue };
                input
            }
            7 if !calm => {
                let n = world.orders.len() as u32;
                world.orders.insert(instance(n), order(n));
                generation += 1;
                Input::Assigned {
                    generation,
                    assignments: vec![order(n)],
                    forget: vec![],
                    destroy: vec![],
                    complete: false,
                }
            }
            8 if !world.orders.is_empty() => {
                let n = dice.roll(world.orders.len() as u64) as u32;
                world.orders.insert(instance(n), stop(n));
                generation += 1;
                Input::Assigned {
                    generation,
                    assignments: vec![stop(n)],
                    forget: vec![],
                    destroy: vec![],
                    complete: false,
                }
            }
            9 if !world.containers.is_empty() => {
                let n = dice.roll(world.containers.len() as u64) as usize;
                let instance = *world.containers.keys().nth(n).expect("there is one");
                if dice.roll(3) == 0 {
                    world.containers.remove(&instance);
                    Input::Hint { instance }
                } else {
                    let before = world.containers.insert(instance, exited(1));
                    match exited(1) {
                        Container::Exited(exit) if before == Some(running()) && dice.roll(2) == 0 => {
                            Input::Died { instance, exit }
                        }
                        _ => Input::Hint { instance },
                    }
                }
            }
            10 => {
                let unheard = matches!(dice.roll(2), 0);
                if unheard {
                    agent =
                        Agent::new(settings(true), if dice.roll(2) == 0 { agent.saved() } else { Saved::default() });
                }
                world.asked.clear();
                if !unheard {
                    // The shell is still there: what is under way is answered, somehow.
                    for output in agent.drain() {
                        world.asked.push(output);
                    }
                    continue;
                }
                agent.handle(Input::Connected { cluster: CLUSTER }, now);
                let assignments = world.orders.values().cloned().collect();
                Input::Assigned { generation, assignments, forget: vec![], destroy: vec![], complete: true }
            }
            _ => Input::Tick,
        };
        agent.handle(input, now);
        world.asked.extend(agent.drain());
    }
    let mut fair = Dice(1);
    // What a lost shell was asked for is asked for again by the next one.
    let mut agent = Agent::new(settings(true), agent.saved());
    agent.handle(Input::Connected { cluster: CLUSTER }, now);
    let assignments = world.orders.values().cloned().collect();
    agent.handle(Input::Assigned { generation, assignments, forget: vec![], destroy: vec![], complete: true }, now);
    world.asked = agent.drain();
    for _ in 0..2_000 {
        now = now.plus_ms(1_000);
        let input = match world.asked.pop() {
            Some(output) => world.perform(output, &mut fair, seed),
            None => Some(Input::Tick),
        };
        if let Some(input) = input {
            agent.handle(input, now);
        }
        world.asked.splice(0..0, agent.drain());
    }
    for (instance, order) in &world.orders {
        if order.stop {
            assert_eq!(world.at(*instance), Container::Absent, "a stop that never ended, seed {seed}");
            assert!(world.removed.contains(instance), "a removal that nobody heard of, seed {seed}");
        }
    }
}

#[test]
fn every_random_day_ends_as_ordered_and_nothing_is_stopped_without_an_order() {
    for seed in 0..300 {
        check_day(seed);
    }
}
