//! Planted faults: what a checker must find before its silence means anything.
//!
//! None of them is in the program. Each is a wrapper in the simulated world: a state machine that does more or less
//! than the real one, a disk that lies, a message changed on its way. `docs/testing.md` lists which checker finds which.

use crate::sim::EPOCH;
use cluster::{Applied, Command, Entry, Moment, Rejected, State, Step, Timestamp};
use std::cell::Cell;

/// One planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// Members promise before their disk has what they promise.
    AckBeforeSync,
    /// The disk of one member says that it has synced, and has not.
    ForgetfulDisk,
    /// Clients are told that a change is done when it was only proposed.
    AckBeforeCommit,
    /// One member passes over the stop steps of plans.
    DivergentApply,
    /// Ports are free again as soon as an instance is told to end.
    PortsFreedOnStop,
    /// Plans book each node twice, and nobody checks again whether what they launch fits.
    NoFitCheck,
    /// Plans replace all old instances at once, and nobody checks again whether enough are left.
    IgnoresMinHealth,
    /// Plans come to all apps of a deployment at once, and nobody knows whose turn it is.
    IgnoresOrder,
    /// A leader that lost its office goes on planning with what it knew, and nobody counts again.
    StaleLeader,
    /// Agents take what they were not sent for what shall end.
    StopsUnlisted,
    /// Agents end everything when they hear nothing for a while.
    StopsWhenCutOff,
    /// Members begin a conversation with orders of the past, and agents obey them.
    ObeysOldGenerations,
    /// Agents make two containers for one instance.
    StartsTwins,
    /// Agents say that a container is gone as soon as they were told to end it.
    ClaimsRemoved,
    /// Nodes that are silent are never given up.
    NeverLosesNodes,
    /// The leader's clock stands still: no delay ends by itself.
    ForgetsDelays,
    /// Agents speak about instances of others, and are believed.
    BelievesAnybody,
    /// The moment on an entry may be earlier than the last one's, and is taken as it is.
    TimeGoesBack,
    /// Members answer reads from what they have, without asking the others.
    ReadsLocally,
    /// A command that was forwarded to a new leader is proposed twice.
    ProposesTwice,
    /// A resident's place is free again as soon as it is told to end.
    PlacesFreedOnStop,
    /// Places that wait for a successor are taken for places on the first node.
    ForgetsHomes,
    /// Agents destroy a volume with the container that had it.
    DestroysVolumes,
    /// Plans do not wait for new instances to be ready, and nobody checks that again.
    IgnoresReadiness,
    /// Delays and deadlines are counted by the latest time that any leader's wall clock ever showed.
    CountsByWallClocks,
    /// All that another member lacks is sent in one message, however much it is.
    SendsWithoutBound,
    /// What failed to start on a node is forgotten at once.
    ForgetsFailures,
    /// New instances count as soon as they serve.
    CountsAtOnce,
    /// Other health checks are told to all instances at once.
    EditsAllAtOnce,
    /// A member that does not lead any more goes on answering the agents that it had.
    KeepsSessions,
    /// A sign of life counts only once the node's registration is in the log.
    HearsOnlyTheRegistered,
    /// A member that does not lead passes no agent on to the leader.
    NeverRelays,
    /// A new leader gives nodes no longer to find it than they may be silent, and agents notice its silence after 5 s.
    WaitsAsLongAsEver,
    /// All assignments of a node go out in one frame.
    AssignsInOneFrame,
    /// A node is whoever has its name.
    IdentityByName,
    /// Agents do not say which of the processes with their identity they are.
    WelcomesCopies,
    /// What nobody speaks of stays in Consul.
    KeepsOrphans,
    /// Agents do not tell of what nobody speaks of.
    HidesOrphans,
    /// What a node has in Consul stays there under the name that the node had then.
    KeepsOldNames,
    /// Agents remove what ended before what it left behind is kept.
    RemovesBeforeEvidence,
}

impl Mutant {
    /// All of them, with the promise that each breaks.
    pub const ALL: [(Self, &'static [&'static str]); 40] = [
        (Self::AckBeforeSync, &["agreement", "durability", "progress"]),
        (Self::ForgetfulDisk, &["recovery", "agreement", "durability"]),
        (Self::AckBeforeCommit, &["durability"]),
        (Self::DivergentApply, &["agreement"]),
        (Self::PortsFreedOnStop, &["capacity"]),
        (Self::NoFitCheck, &["capacity"]),
        (Self::IgnoresMinHealth, &["pace"]),
        (Self::IgnoresOrder, &["order", "pace"]),
        (Self::StaleLeader, &["pace", "progress", "contact"]),
        (Self::StopsUnlisted, &["honesty"]),
        (Self::StopsWhenCutOff, &["honesty"]),
        (Self::ObeysOldGenerations, &["monotony"]),
        (Self::StartsTwins, &["uniqueness"]),
        (Self::ClaimsRemoved, &["honesty"]),
        (Self::NeverLosesNodes, &["progress"]),
        (Self::ForgetsDelays, &["progress"]),
        (Self::BelievesAnybody, &["honesty"]),
        (Self::TimeGoesBack, &["monotony"]),
        (Self::ReadsLocally, &["freshness"]),
        (Self::ProposesTwice, &["durability"]),
        (Self::PlacesFreedOnStop, &["residents"]),
        (Self::ForgetsHomes, &["residents", "capacity"]),
        (Self::DestroysVolumes, &["residents"]),
        (Self::IgnoresReadiness, &["pace"]),
        (Self::CountsByWallClocks, &["monotony", "progress"]),
        (Self::SendsWithoutBound, &["bounds"]),
        (Self::ForgetsFailures, &["progress"]),
        (Self::CountsAtOnce, &["pace"]),
        (Self::EditsAllAtOnce, &["pace"]),
        (Self::KeepsSessions, &["contact", "progress"]),
        (Self::HearsOnlyTheRegistered, &["contact"]),
        (Self::NeverRelays, &["contact"]),
        (Self::WaitsAsLongAsEver, &["contact"]),
        (Self::AssignsInOneFrame, &["contact"]),
        (Self::IdentityByName, &["identity"]),
        (Self::WelcomesCopies, &["identity"]),
        (Self::KeepsOrphans, &["identity"]),
        (Self::HidesOrphans, &["identity"]),
        (Self::KeepsOldNames, &["identity"]),
        (Self::RemovesBeforeEvidence, &["evidence"]),
    ];

    /// The mutant of that name, as `Debug` prints it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().map(|it| it.0).find(|it| format!("{it:?}") == name)
    }
}

thread_local! {
    /// A world runs on one thread: what is planted in it, and which member's code runs.
    static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
    static MEMBER: Cell<u64> = const { Cell::new(0) };
}

/// Plants a fault in the worlds of this thread.
pub fn plant(mutant: Option<Mutant>) {
    PLANTED.set(mutant);
}

/// Whether this one is planted.
pub fn planted(mutant: Mutant) -> bool {
    PLANTED.get() == Some(mutant)
}

/// Whether any is.
pub fn is_any_planted() -> bool {
    PLANTED.get().is_some()
}

/// Says whose code runs from now on.
pub fn enter(member: u64) {
    MEMBER.set(member);
}

/// The member whose disks and machine are broken, where only one is.
pub const BROKEN_MEMBER: u64 = 1;

/// Whether this one is planted in the member whose code runs.
pub fn planted_here(mutant: Mutant) -> bool {
    planted(mutant) && MEMBER.get() == BROKEN_MEMBER
}

/// `State::apply`, unless a planted fault changes it.
pub fn apply(state: &mut State, mut entry: Entry) -> Result<Applied, Rejected> {
    match PLANTED.get() {
        Some(Mutant::DivergentApply) if MEMBER.get() == BROKEN_MEMBER => {
            if let Command::Execute { steps } = &mut entry.command {
                steps.retain(|it| !matches!(it, Step::Stop { .. }));
            }
            state.apply(entry)
        }
        Some(Mutant::PortsFreedOnStop) => {
            let res = state.apply(entry);
            *state = edit(state, |json| {
                let stopping = keys_of(&json["instances"], |it| it["goal"] != "Run");
                for node in values(&mut json["nodes"]) {
                    let Some(ports) = node["ports"].as_object_mut() else { continue };
                    for holders in ports.values_mut().filter_map(serde_json::Value::as_object_mut) {
                        holders.retain(|_, holder| !stopping.iter().any(|it| holder == it));
                    }
                    ports
                        .retain(|_, holders| holders.as_object().is_some_and(|it| it.values().any(|it| !it.is_null())));
                }
            });
            res
        }
        Some(Mutant::NoFitCheck) if matches!(entry.command, Command::Execute { .. }) => {
            let capacities = state.clone();
            *state = roomy(state);
            let res = state.apply(entry);
            *state = edit(state, |json| {
                let before = serde_json::to_value(&capacities).unwrap_or_default();
                let names: Vec<String> =
                    json["nodes"].as_object().into_iter().flat_map(|it| it.keys().cloned()).collect();
                for name in names {
                    let capacity = before["nodes"][&name]["description"]["capacity"].clone();
                    json["nodes"][&name]["description"]["capacity"] = capacity;
                }
            });
            res
        }
        Some(Mutant::IgnoresMinHealth) if matches!(entry.command, Command::Execute { .. }) => {
            *state = careless(state);
            let res = state.apply(entry);
            *state = with_own_limits(state);
            res
        }
        Some(Mutant::IgnoresReadiness) if matches!(entry.command, Command::Execute { .. }) => {
            *state = hasty(state);
            let res = state.apply(entry);
            *state = with_own_limits(state);
            res
        }
        Some(Mutant::CountsAtOnce) if matches!(entry.command, Command::Execute { .. }) => {
            let live_ms = state.settings().min_live_ms;
            *state = trusting(state);
            let res = state.apply(entry);
            *state = edit(state, |json| json["settings"]["min_live_ms"] = live_ms.into());
            res
        }
        Some(Mutant::EditsAllAtOnce) if matches!(entry.command, Command::Execute { .. }) => {
            let Command::Execute { steps } = &entry.command else { return state.apply(entry) };
            let edited = |it: &Step| match it {
                Step::Follow { instance, .. } => state.instance(*instance).map(|it| it.app.to_string()),
                _ => None,
            };
            let apps: Vec<String> = steps.iter().filter_map(edited).collect();
            let res = state.apply(entry);
            if !apps.is_empty() {
                *state = edit(state, |json| {
                    let current = json["apps"].clone();
                    for it in values(&mut json["instances"]) {
                        let app = it["app"].as_str().unwrap_or_default().to_owned();
                        let version = &current[&app]["current"];
                        if apps.contains(&app) && it["run"] == version["run"] {
                            it["follows"] = version["configured"].clone();
                        }
                    }
                });
            }
            res
        }
        Some(Mutant::PlacesFreedOnStop) => {
            let res = state.apply(entry);
            *state = edit(state, |json| {
                let stopping = keys_of(&json["instances"], |it| it["goal"] != "Run");
                for place in values(&mut json["reservations"]) {
                    if stopping.iter().any(|it| place["holder"] == **it) {
                        place["holder"] = serde_json::Value::Null;
                    }
                }
            });
            res
        }
        Some(Mutant::ForgetsHomes) => {
            let res = state.apply(entry);
            *state = edit(state, |json| {
                let Some(first) = keys_of(&json["nodes"], |_| true).into_iter().next() else { return };
                for place in values(&mut json["reservations"]).filter(|it| it["holder"].is_null()) {
                    place["node"] = first.clone().into();
                }
            });
            res
        }
        Some(Mutant::IgnoresOrder) if matches!(entry.command, Command::Execute { .. }) => {
            *state = impatient(state);
            let res = state.apply(entry);
            *state = with_turns(state);
            res
        }
        Some(Mutant::StaleLeader) if matches!(entry.command, Command::Execute { .. }) => {
            *state = insatiable(state);
            let res = state.apply(entry);
            *state = with_own_limits(state);
            res
        }
        Some(Mutant::ForgetsFailures) if matches!(entry.command, Command::Report { .. }) => {
            let res = state.apply(entry);
            *state = edit(state, |json| {
                values(&mut json["nodes"]).for_each(|it| it["trouble"] = serde_json::Value::Null);
                values(&mut json["apps"]).for_each(|it| it["shunned"] = serde_json::json!({}));
            });
            res
        }
        Some(Mutant::BelievesAnybody) => {
            if let Command::Report { node, observations, .. } = &mut entry.command
                && let Some(instance) = observations.first().and_then(|it| state.instance(it.instance))
            {
                *node = instance.node.clone();
            }
            state.apply(entry)
        }
        Some(Mutant::IdentityByName) => {
            if let Command::Register { node } = &mut entry.command {
                node.agent = node.id.as_str().bytes().fold(7, |sum, it| (sum * 31 + u64::from(it)) % 0xffff_fffb);
            }
            state.apply(entry)
        }
        Some(Mutant::TimeGoesBack) => {
            let moment = entry.moment.0.saturating_sub(entry.index % 5 * 300).max(1);
            let res = state.apply(entry);
            *state = edit(state, |json| json["moment"] = moment.into());
            res
        }
        Some(Mutant::CountsByWallClocks) => {
            entry.moment = by_wall_clock(entry.time);
            state.apply(entry)
        }
        _ => state.apply(entry),
    }
}

/// What a wall clock makes of the cluster's own time.
pub fn by_wall_clock(time: Timestamp) -> Moment {
    Moment(time.0.saturating_sub(EPOCH))
}

/// What a leader believes to be the state, where a planted fault lets it believe something else.
pub fn view(state: &State) -> Option<State> {
    match PLANTED.get() {
        Some(Mutant::NoFitCheck) => Some(roomy(state)),
        Some(Mutant::IgnoresMinHealth) => Some(careless(state)),
        Some(Mutant::IgnoresReadiness) => Some(hasty(state)),
        Some(Mutant::IgnoresOrder) => Some(impatient(state)),
        Some(Mutant::CountsAtOnce) => Some(trusting(state)),
        _ => None,
    }
}

/// A state in which new instances need not live first.
fn trusting(state: &State) -> State {
    edit(state, |json| json["settings"]["min_live_ms"] = 0.into())
}

/// A state whose nodes have twice the room.
fn roomy(state: &State) -> State {
    edit(state, |json| {
        for node in values(&mut json["nodes"]) {
            for amount in values(&mut node["description"]["capacity"]) {
                *amount = (amount.as_u64().unwrap_or(0) * 2).into();
            }
        }
    })
}

/// A state whose apps need no healthy instances.
fn careless(state: &State) -> State {
    edit(state, |json| {
        for app in values(&mut json["apps"]) {
            app["current"]["spec"]["policy"]["upgrade"]["min_health_ppm"] = 0.into();
        }
    })
}

/// A state whose apps need not be ready.
fn hasty(state: &State) -> State {
    edit(state, |json| {
        for app in values(&mut json["apps"]) {
            app["current"]["spec"]["policy"]["readiness_checks"] = serde_json::json!([]);
        }
    })
}

/// A state in which no app waits for its turn.
fn impatient(state: &State) -> State {
    edit(state, |json| {
        for app in values(&mut json["apps"]) {
            app["held"] = serde_json::Value::Null;
        }
    })
}

/// The turns again, from the deployments.
fn with_turns(state: &State) -> State {
    edit(state, |json| {
        let deployments = json["deployments"].clone();
        for app in values(&mut json["apps"]) {
            let Some(deployment) = app["deployment"].as_str().map(|it| &deployments[it]) else { continue };
            let Some(id) = app["id"].as_str() else { continue };
            let change = &deployment["changes"][id];
            if change["step"].as_u64() > deployment["step"].as_u64() && app["removing"] == false {
                app["held"] = serde_json::json!({ "at": change["from"] });
            }
        }
    })
}

/// A state whose apps want more and more instances.
fn insatiable(state: &State) -> State {
    edit(state, |json| {
        for app in values(&mut json["apps"]) {
            app["current"]["spec"]["instances"] = 1_000.into();
        }
    })
}

/// The wanted versions' own limits again, from the apps' histories.
fn with_own_limits(state: &State) -> State {
    edit(state, |json| {
        for app in values(&mut json["apps"]) {
            let version = app["current"]["version"].to_string();
            let honest = app["versions"][&version]["spec"].clone();
            if !honest.is_null() {
                app["current"]["spec"] = honest;
            }
        }
    })
}

fn edit(state: &State, change: impl FnOnce(&mut serde_json::Value)) -> State {
    let mut json = serde_json::to_value(state).expect("a state can be encoded");
    change(&mut json);
    let state: State = serde_json::from_value(json).expect("the edit keeps the form");
    state.indexed()
}

fn values(json: &mut serde_json::Value) -> impl Iterator<Item = &mut serde_json::Value> {
    json.as_object_mut().into_iter().flat_map(|it| it.values_mut())
}

fn keys_of(json: &serde_json::Value, which: impl Fn(&serde_json::Value) -> bool) -> Vec<String> {
    let all = json.as_object().into_iter().flatten();
    all.filter(|(_, it)| which(it)).map(|(key, _)| key.clone()).collect()
}
