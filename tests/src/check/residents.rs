//! Residents: data stays where it is, has one user at a time, and goes only where somebody ordered that.

use super::{Check, Did, Fact, aim, home, is_resident};
use crate::sim::docker::{Engine, Phase};
use crate::sim::machine::Taken;
use cluster::{AppId, Command, Condition, EndKind, Event, Instance, InstanceId, NodeId, NodeStatus, State};
use std::collections::BTreeMap;

/// Every reservation there ever was.
#[derive(Default)]
pub(super) struct Residents {
    reservations: BTreeMap<InstanceId, Reservation>,
}

struct Reservation {
    app: AppId,
    node: NodeId,
    /// Who has it by the books: from its launch until its container is confirmed removed.
    holder: Option<InstanceId>,
    /// Somebody ordered that its data go: by a kill that says so, or with the app. Or there never was any: its first
    /// container could not be started.
    given_up: bool,
    /// A start failed before anything had run with it: it may go, and need not.
    unused: bool,
    made: bool,
    /// Its node was forgotten, with whatever it had.
    forgotten: bool,
    /// A container has run with it.
    ran: bool,
}

impl Check for Residents {
    fn name(&self) -> &'static str {
        "residents"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Applied { first: true, taken, .. } => {
                self.take_orders(taken);
                let events = taken.result.iter().flat_map(|it| &it.events);
                events.into_iter().try_for_each(|event| self.happened(taken, event))
            }
            Fact::Docker { node, did, engine } => self.did(node, *did, engine),
            Fact::Calm { states, engines, .. } => states.first().map_or(Ok(()), |it| self.at_rest(&it.1, engines)),
            _ => Ok(()),
        }
    }
}

impl Residents {
    fn take_orders(&mut self, taken: &Taken) {
        let Ok(applied) = &taken.result else { return };
        if let Command::RemoveNode { node } = &taken.entry.command {
            for it in self.reservations.values_mut().filter(|it| home(&it.node) == home(node)) {
                (it.given_up, it.forgotten) = (true, true);
            }
        }
        let wiped = match &taken.entry.command {
            Command::Kill { wipe: true, .. } => applied.killed.as_slice(),
            _ => &[],
        };
        for reservation in wiped.iter().filter_map(|it| taken.before.instance(*it)?.reservation) {
            self.reservations.entry(reservation).and_modify(|it| it.given_up = true);
        }
        for event in &applied.events {
            if let Event::InstanceChanged { instance } = event
                && matches!(&instance.condition, Condition::Ended(it) if it.kind == EndKind::NotStarted)
                && let Some(it) = instance.reservation.and_then(|it| self.reservations.get_mut(&it))
            {
                it.unused |= !it.ran;
            }
            if let Event::AppRemoved { app } = event {
                self.reservations.values_mut().filter(|it| it.app == *app).for_each(|it| it.given_up = true);
            }
        }
    }

    fn happened(&mut self, taken: &Taken, event: &Event) -> Result<(), String> {
        match event {
            Event::InstanceLaunched { instance } => self.launched(&taken.before, instance),
            Event::InstanceRemoved { instance } => {
                if let Some(it) = instance.reservation.and_then(|it| self.reservations.get_mut(&it)) {
                    it.holder.take_if(|it| *it == instance.id);
                }
                Ok(())
            }
            Event::ReservationChanged { reservation } => match self.reservations.get_mut(&reservation.id) {
                Some(it) if it.given_up || it.unused => {
                    it.given_up = true;
                    Ok(())
                }
                _ => Err(format!("reservation {} is to go, and nobody had ordered it", reservation.id)),
            },
            _ => Ok(()),
        }
    }

    fn launched(&mut self, before: &State, instance: &Instance) -> Result<(), String> {
        let Some(wanted) = before.app(&instance.app).and_then(|it| aim(it)).map(|it| &it.spec) else { return Ok(()) };
        let id = instance.id;
        let Some(reservation) = instance.reservation else {
            let stays = is_resident(wanted);
            return if stays { Err(format!("resident {id} was launched without a place")) } else { Ok(()) };
        };
        let own = self.reservations.values().filter(|it| it.app == instance.app && !it.given_up).count();
        match self.reservations.get_mut(&reservation) {
            None if own >= wanted.instances as usize => {
                return Err(format!("{id} begins anew, and the data of {own} instances of {} is kept", instance.app));
            }
            None => {
                let (app, node) = (instance.app.clone(), instance.node.clone());
                let new = Reservation {
                    app,
                    node,
                    holder: Some(id),
                    given_up: false,
                    unused: false,
                    made: false,
                    forgotten: false,
                    ran: false,
                };
                self.reservations.insert(reservation, new);
            }
            Some(it) => {
                if it.app != instance.app || home(&it.node) != home(&instance.node) {
                    return Err(format!("{id} was placed on {}, its data is on {}", instance.node, it.node));
                }
                if it.given_up {
                    return Err(format!("{id} was launched on {reservation}, which is to go"));
                }
                if let Some(holder) = it.holder.replace(id) {
                    return Err(format!("{id} was launched on {reservation}, which {holder} has"));
                }
            }
        }
        Ok(())
    }

    fn did(&mut self, node: &NodeId, did: Did<'_>, engine: &Engine) -> Result<(), String> {
        let users = |volume: InstanceId| engine.containers.values().filter(move |it| it.volume == Some(volume));
        match did {
            Did::MadeVolume(volume) => match self.reservations.get_mut(&volume) {
                Some(it) if home(&it.node) != home(node) => {
                    Err(format!("{node}: volume {volume} was made, it is on {}", it.node))
                }
                Some(it) if it.made => Err(format!("{node}: volume {volume} was made anew, its data is lost")),
                Some(it) => {
                    it.made = true;
                    Ok(())
                }
                None => Err(format!("{node}: volume {volume} was made, and there is no such reservation")),
            },
            Did::DestroyedVolume(volume) => {
                if self.reservations.get(&volume).is_none_or(|it| !it.given_up) {
                    return Err(format!("{node}: volume {volume} was destroyed, and nobody had ordered it"));
                }
                match users(volume).next() {
                    Some(it) => Err(format!("{node}: volume {volume} was destroyed under {}", it.instance)),
                    None => Ok(()),
                }
            }
            Did::Started(name, _) => {
                let volume = engine.containers.get(name).and_then(|it| it.volume);
                if let Some(it) = volume.and_then(|it| self.reservations.get_mut(&it)) {
                    it.ran = true;
                    it.unused = false;
                }
                let running = volume.map_or(0, |it| users(it).filter(|it| it.phase == Phase::Running).count());
                if running > 1 {
                    Err(format!("{node}: {running} containers write to volume {volume:?}"))
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    /// What was ordered is done, and nothing else is missing.
    fn at_rest(&self, state: &State, engines: &[(NodeId, Engine)]) -> Result<(), String> {
        for (id, it) in self.reservations.iter().filter(|it| !it.1.forgotten) {
            let engine = engines.iter().find(|(node, _)| home(node) == home(&it.node));
            let is_ready = |node| state.node(node).is_some_and(|it| it.status == NodeStatus::Ready);
            let Some((_, engine)) = engine.filter(|it| is_ready(&it.0)) else { continue };
            let on_disk = engine.volumes.contains(id);
            let in_books = state.reservation(*id).is_some();
            if it.given_up && (on_disk || in_books) {
                return Err(format!("{}: volume {id} was to be destroyed and is still there", it.node));
            }
            if !it.given_up && (on_disk != it.made || !in_books) {
                return Err(format!("{}: volume {id} is gone, and nobody had ordered it", it.node));
            }
        }
        Ok(())
    }
}
