//! What agents send out for: to their Docker engine, and to their instances.
//!
//! A start is several steps, as in reality: fetch the image, make the container, start it, and clean up when that
//! fails; an agent that ends in between leaves what was done.

use super::client::WRONG_PATH;
use super::docker::{Container, Daemon, Luck, Phase, Request, Trouble};
use super::world::{Event, World};
use crate::check::{Did, Fact};
use crate::mutants::{self, Mutant};
use cluster::agent::{
    Assignment, Container as Known, Done, Exit, Input, Keeping, Listed, Listing, Maker, Outcome, Output, Probe,
};
use cluster::{Evidence, HealthAnswer, InstanceId, LogLine, ReadinessResponse, Stream};
use std::sync::Arc;

/// Something on its way to an engine or an instance.
#[derive(Debug)]
pub(super) enum Errand {
    List {
        epoch: u64,
    },
    Inspect {
        instance: InstanceId,
        epoch: u64,
    },
    Pull {
        order: Box<Assignment>,
    },
    Create {
        order: Box<Assignment>,
        name: String,
    },
    Start {
        order: Box<Assignment>,
        name: String,
    },
    /// After a start that failed, and why it did.
    Clean {
        instance: InstanceId,
        name: String,
        message: String,
    },
    Stop {
        instance: InstanceId,
        grace_ms: u64,
    },
    /// Read what it left behind, and keep it.
    Keep {
        instance: InstanceId,
        health: Option<HealthAnswer>,
    },
    Remove {
        instance: InstanceId,
    },
    Probe {
        instance: InstanceId,
        check: u32,
        /// Whether what is asked can be answered at all.
        wrong: bool,
        ends_at: u64,
    },
    /// Whether an instance is ready.
    Ask {
        instance: InstanceId,
        ends_at: u64,
    },
    /// The node's own disk: no engine is asked.
    Destroy {
        reservation: InstanceId,
    },
}

/// A request to an engine that takes longer has failed.
const DEADLINE_MS: u64 = 5_000;

impl World {
    pub(super) fn send_out(&mut self, n: usize, output: Output) {
        let errand = match output {
            Output::List { epoch } => Errand::List { epoch },
            Output::Inspect { instance, epoch } => Errand::Inspect { instance, epoch },
            Output::Start { assignment } => Errand::Pull { order: Box::new(assignment) },
            Output::Stop { instance, grace_ms } => Errand::Stop { instance, grace_ms },
            Output::Keep { instance, health, .. } => Errand::Keep { instance, health },
            Output::Remove { instance } => Errand::Remove { instance },
            Output::Probe { instance, check, probe, timeout_ms } => {
                let wrong = matches!(probe, Probe::Http { get, .. } if get.path == WRONG_PATH);
                Errand::Probe { instance, check, wrong, ends_at: self.now + timeout_ms }
            }
            Output::Ask { instance, timeout_ms, .. } => Errand::Ask { instance, ends_at: self.now + timeout_ms },
            Output::Destroy { reservation } => Errand::Destroy { reservation },
            Output::Abandon { instance } => {
                self.nodes[n].abandoned.insert(instance);
                return;
            }
            _ => return,
        };
        self.run_errand(n, errand);
    }

    fn run_errand(&mut self, n: usize, errand: Errand) {
        if let Errand::Create { order, .. } = &errand
            && let Some(reservation) = order.reservation
        {
            self.make_volume(n, reservation);
        }
        let node = &self.nodes[n];
        let (ms, timeout) = match (node.engine.daemon, &errand) {
            (_, Errand::Probe { .. } | Errand::Ask { .. } | Errand::Destroy { .. }) => (self.rng.range(1, 60), false),
            (Daemon::Hung, _) => (DEADLINE_MS, true),
            (Daemon::Down, _) => (1, false),
            (Daemon::Up, _) => (node.engine.latency(&self.request_of(n, &errand), &mut self.rng), false),
        };
        let incarnation = node.incarnation;
        self.after(ms, Event::Docker { node: n, incarnation, errand, timeout });
    }

    /// An errand is done, or took too long.
    pub(super) fn errand_done(&mut self, n: usize, incarnation: u64, errand: Errand, timeout: bool) {
        if let Errand::Probe { instance, check, wrong, ends_at } = errand {
            if self.nodes[n].incarnation == incarnation {
                let outcome = self.outcome(n, instance, wrong, ends_at);
                self.agent_takes(n, Input::Probed { instance, check, outcome });
            }
            return;
        }
        if let Errand::Ask { .. } | Errand::Destroy { .. } = errand {
            return self.outside_answers(n, incarnation, &errand);
        }
        let request = self.request_of(n, &errand);
        let answer = match self.daemon(n) {
            Daemon::Down => Err(Trouble::Down),
            // What nobody answered may be done when the daemon wakes up.
            Daemon::Hung => {
                if self.rng.chance(500) {
                    self.nodes[n].engine.backlog.push(request);
                }
                Err(Trouble::Timeout)
            }
            Daemon::Up if timeout => Err(Trouble::Timeout),
            Daemon::Up => self.perform(n, &request),
        };
        if self.nodes[n].incarnation != incarnation || self.nodes[n].agent.is_none() {
            return;
        }
        self.bring_back(n, errand, answer);
    }

    /// Brings an engine's answer to its agent, or takes the next step.
    fn bring_back(&mut self, n: usize, errand: Errand, answer: super::docker::Answer) {
        let away = matches!(answer, Err(Trouble::Down | Trouble::Timeout));
        let message = format!("{:?}", answer.as_ref().err());
        let unavailable = |instance| Input::Done { instance, result: Done::Unavailable { message: message.clone() } };
        let input = match errand {
            Errand::List { epoch } => match answer {
                Ok(list) => Input::Listed { epoch, containers: list.iter().map(|it| listed(&it.1)).collect() },
                Err(_) => Input::ListFailed { message },
            },
            Errand::Inspect { instance, epoch } => {
                let container = if away { Err(message) } else { Ok(self.there(n, &instance.to_string())) };
                Input::Inspected { instance, epoch, container }
            }
            Errand::Pull { order } => {
                let instance = order.instance;
                match answer {
                    _ if self.nodes[n].abandoned.remove(&instance) => Input::Done { instance, result: Done::Abandoned },
                    Ok(_) => {
                        let name = instance.to_string();
                        return match self.nodes[n].engine.containers.get(&name).map(|it| it.phase) {
                            None => self.run_errand(n, Errand::Create { order, name }),
                            Some(Phase::Created) => self.run_errand(n, Errand::Start { order, name }),
                            Some(_) => {
                                let result = Done::Now(self.there(n, &name));
                                self.agent_takes(n, Input::Done { instance, result });
                            }
                        };
                    }
                    Err(_) if away => unavailable(instance),
                    Err(_) => {
                        let container = self.there(n, &instance.to_string());
                        Input::Done { instance, result: Done::Refused { message, container } }
                    }
                }
            }
            Errand::Create { order, name } => match answer {
                Ok(_) if mutants::planted(Mutant::StartsTwins) => {
                    let twin = Request::Create(
                        format!("{name}-twin"),
                        Box::new(container_of(&order, self.nodes[n].maker(&order))),
                    );
                    let _ = self.perform(n, &twin);
                    return self.run_errand(n, Errand::Start { order, name });
                }
                Ok(_) | Err(Trouble::NameTaken) => return self.run_errand(n, Errand::Start { order, name }),
                Err(_) if away => unavailable(order.instance),
                Err(_) => {
                    let container = self.there(n, &name);
                    Input::Done { instance: order.instance, result: Done::Refused { message, container } }
                }
            },
            Errand::Start { order, name } => match answer {
                Ok(_) => Input::Done { instance: order.instance, result: Done::Now(self.there(n, &name)) },
                Err(_) if away => unavailable(order.instance),
                Err(_) => {
                    return self.run_errand(n, Errand::Clean { instance: order.instance, name, message });
                }
            },
            Errand::Clean { instance, name, message } => {
                let container = self.there(n, &name);
                if away {
                    unavailable(instance)
                } else {
                    Input::Done { instance, result: Done::Refused { message, container } }
                }
            }
            Errand::Keep { instance, health } => {
                let result = if away { Keeping::Unavailable { message } } else { self.keep(n, instance, health) };
                Input::Kept { instance, result }
            }
            Errand::Stop { instance, .. } | Errand::Remove { instance } => {
                let container = self.there(n, &instance.to_string());
                match answer {
                    Ok(_) | Err(Trouble::NoContainer) => Input::Done { instance, result: Done::Now(container) },
                    Err(_) if away => unavailable(instance),
                    Err(_) => Input::Done { instance, result: Done::Refused { message, container } },
                }
            }
            Errand::Probe { .. } | Errand::Ask { .. } | Errand::Destroy { .. } => return,
        };
        self.agent_takes(n, input);
    }

    /// Keeps what a container left behind, and tells the checkers.
    fn keep(&mut self, n: usize, instance: InstanceId, health: Option<HealthAnswer>) -> Keeping {
        let name = instance.to_string();
        let Some(container) = self.nodes[n].engine.containers.get(&name) else { return Keeping::Gone };
        let (exit_code, out_of_memory) = match container.phase {
            Phase::Exited { code, oom } => (Some(code), oom),
            Phase::Created | Phase::Running => (None, false),
        };
        if mutants::planted(Mutant::RemovesBeforeEvidence) {
            return Keeping::Safe(Arc::default());
        }
        // Once is an accident; what can never be had is given up.
        if !self.calm && self.rng.chance(50) && self.nodes[n].unread.insert(instance) {
            let message = "its log cannot be read".to_owned();
            return Keeping::Partly { message, evidence: Arc::default() };
        }
        let (id, engine) = (self.nodes[n].id(), self.nodes[n].engine.clone());
        let did = Did::Kept(&name, instance);
        self.say(format_args!("n{n}: {did:?}"));
        self.see(&Fact::Docker { node: &id, did, engine: &engine });
        let line = LogLine { at: String::new(), stream: Stream::Stderr, text: format!("last words of {name}") };
        Keeping::Safe(Arc::new(Evidence { exit_code, out_of_memory, health, lines: vec![line], ..Evidence::default() }))
    }

    /// An instance said whether it is ready, or a node's volumes are destroyed.
    fn outside_answers(&mut self, n: usize, incarnation: u64, errand: &Errand) {
        if let Errand::Destroy { reservation } = *errand {
            // Done also where the agent has ended meanwhile.
            self.destroy_volume(n, reservation);
        }
        if self.nodes[n].incarnation != incarnation {
            return;
        }
        let input = match *errand {
            Errand::Ask { instance, ends_at } => {
                let mut containers = self.nodes[n].engine.containers.values();
                let serving = containers.find(|it| it.instance == instance && it.serves(self.now));
                let answer = serving.filter(|_| self.now <= ends_at).map(|it| ReadinessResponse {
                    status: if it.is_ready(self.now) { 200 } else { 503 },
                    content_type: String::new(),
                    body: String::new(),
                });
                Input::Answered { instance, answer: answer.ok_or_else(|| "refused".to_owned()) }
            }
            Errand::Destroy { reservation } => Input::Destroyed { reservation, result: Ok(()) },
            _ => return,
        };
        self.agent_takes(n, input);
    }

    /// What a health check says; some are missed for no reason.
    fn outcome(&mut self, n: usize, instance: InstanceId, wrong: bool, ends_at: u64) -> Outcome {
        let missed = !self.calm && self.rng.chance(self.options.missed_probes);
        let containers = &self.nodes[n].engine.containers;
        let of_instance = containers.values().find(|it| it.instance == instance && it.phase == Phase::Running);
        match of_instance {
            None => Outcome::Refused("connection refused".to_owned()),
            Some(it) if !it.serves(self.now) => Outcome::Failure("answered 503".to_owned()),
            Some(_) if wrong => Outcome::Failure("answered 404".to_owned()),
            Some(_) if missed || self.now > ends_at => Outcome::Failure("no answer in time".to_owned()),
            Some(_) => Outcome::Success,
        }
    }

    /// The agent makes a volume before it makes the container; one that is there stays as it is.
    fn make_volume(&mut self, n: usize, reservation: InstanceId) {
        if self.nodes[n].engine.volumes.insert(reservation) {
            self.tell_volume(n, Did::MadeVolume(reservation));
        }
    }

    fn destroy_volume(&mut self, n: usize, reservation: InstanceId) {
        if self.nodes[n].engine.volumes.remove(&reservation) {
            self.tell_volume(n, Did::DestroyedVolume(reservation));
        }
    }

    fn tell_volume(&mut self, n: usize, did: Did<'_>) {
        let (id, engine) = (self.nodes[n].id(), self.nodes[n].engine.clone());
        self.say(format_args!("n{n}: {did:?}"));
        self.see(&Fact::Docker { node: &id, did, engine: &engine });
    }

    fn there(&self, n: usize, name: &str) -> Known {
        self.nodes[n].engine.containers.get(name).map_or(Known::Absent, known)
    }

    /// Lets an engine carry out a request, and tells the checkers.
    fn perform(&mut self, n: usize, request: &Request) -> super::docker::Answer {
        let luck = Luck { start_fails: self.options.start_fails, pull_fails: self.options.pull_fails };
        let luck = if self.calm { Luck::default() } else { luck };
        let engine = &mut self.nodes[n].engine;
        let before = subject(request).and_then(|it| engine.containers.get(it).cloned());
        let answer = engine.perform(request, self.now, luck, &mut self.rng);
        self.tell_docker(n, request, before.as_ref(), &answer);
        answer
    }

    fn tell_docker(&mut self, n: usize, request: &Request, before: Option<&Container>, answer: &super::docker::Answer) {
        let Some(name) = subject(request) else { return };
        let engine = &self.nodes[n].engine;
        let after = engine.containers.get(name).cloned();
        let ran = before.is_some_and(|it| it.phase == Phase::Running);
        let did = match (request, answer, before.or(after.as_ref()).map(|it| it.instance)) {
            (Request::Create(..), Ok(_), Some(id)) => Did::Created(name, id),
            (Request::Start(_), Ok(_), Some(id)) if !ran => Did::Started(name, id),
            (Request::Start(_), Err(trouble), Some(id)) => Did::Refused(name, id, trouble),
            (Request::Stop(..), Ok(_), Some(id)) if ran => Did::Stopped(name, id),
            (Request::Remove(_), Ok(_), Some(id)) => Did::Removed(name, id),
            _ => return,
        };
        let (id, engine) = (self.nodes[n].id(), engine.clone());
        self.say(format_args!("n{n}: {did:?}"));
        self.see(&Fact::Docker { node: &id, did, engine: &engine });
        if matches!(did, Did::Started(..)) {
            self.figures.starts += 1;
            if let Some(container) = after
                && let Some(ms) = container.ends_after(&mut self.rng)
            {
                let n_starts = container.n_starts;
                self.after(ms, Event::Ends { node: n, name: name.to_owned(), n_starts });
            }
        }
        if let Some(container) = before {
            if mutants::planted(Mutant::DestroysVolumes)
                && matches!(did, Did::Removed(..))
                && let Some(reservation) = container.volume
            {
                self.destroy_volume(n, reservation);
            }
            self.hint(n, container.instance);
        }
    }

    /// Docker's event about a container: mostly soon, sometimes never.
    fn hint(&mut self, n: usize, instance: InstanceId) {
        if self.rng.chance(800) {
            let ms = self.rng.range(1, 100);
            self.after(ms, Event::Told { node: n, input: Input::Hint { instance } });
        }
    }

    /// Docker's event that a container ended; sometimes it says no more than that something happened, or nothing.
    fn died(&mut self, n: usize, instance: InstanceId, code: i64, out_of_memory: bool) {
        if self.rng.chance(300) {
            return self.hint(n, instance);
        }
        let (ms, exit) = (self.rng.range(1, 100), Exit { code: Some(code), out_of_memory, ..Exit::default() });
        self.after(ms, Event::Told { node: n, input: Input::Died { instance, exit } });
    }

    /// An event reaches the agent.
    pub(super) fn docker_tells(&mut self, n: usize, input: Input) {
        if self.daemon(n) == Daemon::Up {
            self.agent_takes(n, input);
        }
    }

    /// A daemon that woke up does what it was asked meanwhile.
    pub(super) fn work_off(&mut self, n: usize) {
        for request in std::mem::take(&mut self.nodes[n].engine.backlog) {
            // Nobody waits for the answer any more.
            let _ = self.perform(n, &request);
        }
    }

    /// A container ends by itself.
    pub(super) fn container_ends(&mut self, n: usize, name: &str, n_starts: u32) {
        let containers = &mut self.nodes[n].engine.containers;
        if let Some(it) = containers.get_mut(name).filter(|it| it.n_starts == n_starts && it.phase == Phase::Running) {
            it.phase = Phase::Exited { code: 1, oom: false };
            let instance = it.instance;
            self.died(n, instance, 1, false);
        }
    }

    /// Something happens to one of a node's containers.
    pub(super) fn hurt_container(&mut self, n: usize) {
        let names: Vec<String> = self.nodes[n].engine.containers.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        let name = self.rng.pick(&names).clone();
        let removed = self.rng.chance(250);
        let oom = self.rng.chance(300);
        let id = self.nodes[n].id();
        let containers = &mut self.nodes[n].engine.containers;
        let Some(it) = containers.get_mut(&name) else { return };
        let (instance, ran) = (it.instance, it.phase == Phase::Running);
        if removed {
            containers.remove(&name);
            let engine = self.nodes[n].engine.clone();
            // Somebody else did: nobody could keep anything.
            self.see(&Fact::Docker { node: &id, did: Did::Kept(&name, instance), engine: &engine });
            self.see(&Fact::Docker { node: &id, did: Did::Removed(&name, instance), engine: &engine });
        } else if ran {
            it.phase = Phase::Exited { code: 137, oom };
        }
        self.say(format_args!("n{n}: container {name} is hurt, removed: {removed}"));
        if ran && !removed {
            self.died(n, instance, 137, oom);
        } else {
            self.hint(n, instance);
        }
    }

    fn request_of(&self, n: usize, errand: &Errand) -> Request {
        match errand {
            Errand::List { .. }
            | Errand::Inspect { .. }
            | Errand::Probe { .. }
            | Errand::Ask { .. }
            | Errand::Keep { .. }
            | Errand::Destroy { .. } => Request::List,
            Errand::Pull { order } => Request::Pull(image_of(order)),
            Errand::Create { order, name } => {
                Request::Create(name.clone(), Box::new(container_of(order, self.nodes[n].maker(order))))
            }
            Errand::Start { name, .. } => Request::Start(name.clone()),
            Errand::Clean { name, .. } => Request::Remove(name.clone()),
            Errand::Stop { instance, grace_ms } => Request::Stop(instance.to_string(), *grace_ms),
            Errand::Remove { instance } => Request::Remove(instance.to_string()),
        }
    }

    /// What only planted faults do: ends containers that nobody ordered to end.
    pub(super) fn stop_all(&mut self, n: usize, which: impl Fn(InstanceId) -> bool) {
        let ids: Vec<_> =
            self.nodes[n].engine.containers.values().map(|it| it.instance).filter(|it| which(*it)).collect();
        for instance in ids {
            self.run_errand(n, Errand::Stop { instance, grace_ms: 100 });
        }
    }
}

fn image_of(order: &Assignment) -> String {
    order.spec.as_ref().map(|it| it.run.image.clone()).unwrap_or_default()
}

fn container_of(order: &Assignment, maker: Maker) -> Container {
    Container {
        instance: order.instance,
        maker,
        image: image_of(order),
        resources: order.spec.as_ref().map(|it| it.run.resources).unwrap_or_default(),
        ports: order
            .spec
            .iter()
            .flat_map(|it| order.ports.iter().copied().zip(it.run.host_ports().map(|it| it.1)))
            .collect(),
        volume: order.reservation,
        phase: Phase::Created,
        started_at: 0,
        n_starts: 0,
    }
}

/// The container that a request is about.
fn subject(request: &Request) -> Option<&String> {
    match request {
        Request::List | Request::Pull(_) => None,
        Request::Create(name, _) | Request::Start(name) | Request::Stop(name, _) | Request::Remove(name) => Some(name),
    }
}

fn listed(container: &Container) -> Listed {
    let listing = match container.phase {
        Phase::Created => Listing::Created,
        Phase::Running => Listing::Running { ip: Some("172.17.0.2".to_owned()), ipv6: None },
        Phase::Exited { .. } => Listing::Ended,
    };
    Listed { instance: container.instance, listing, maker: container.maker.clone() }
}

fn known(container: &Container) -> Known {
    match container.phase {
        Phase::Created => Known::Created,
        Phase::Running => Known::Running { ip: Some("172.17.0.2".to_owned()), ipv6: None },
        Phase::Exited { code, oom } => Known::Exited(Exit { code: Some(code), out_of_memory: oom, ..Exit::default() }),
    }
}
