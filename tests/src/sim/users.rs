//! Users at work: they ask a member, wait for its answer, and ask again.

use super::client;
use super::network::Place;
use super::world::{Event, World};
use crate::check::{Fact, Told};

/// After so long without an answer a user goes on.
const GIVES_UP_MS: u64 = 12_000;

impl World {
    /// A user's time to ask.
    pub(super) fn user_acts(&mut self, client: usize) {
        if self.calm {
            return;
        }
        let think = self.rng.around(self.options.think_ms).max(1);
        self.after(think, Event::User(client));
        if self.clients[client].open.as_ref().is_some_and(|it| it.1 > self.now) {
            return;
        }
        let members: Vec<u64> = self.seats.keys().copied().collect();
        let (read_from, member) = (*self.rng.pick(&members), *self.rng.pick(&members));
        let (from, to) = (Place::Client(client), Place::Member(member));
        if self.rng.chance(300) {
            // A read, on the side.
            let at = self.network.arrival(from, to, self.now, &self.options, &mut self.rng);
            if !self.network.is_cut(from, to) {
                self.at(at, Event::AskedToRead { member, known: self.acknowledged });
            }
        }
        let Some(state) = self.seats[&read_from].state().cloned() else { return };
        let command = client::wish(&state, &mut self.rng);
        let it = &mut self.clients[client];
        it.n_asked += 1;
        let name = format!("user-{client}#{}", it.n_asked);
        it.open = Some((name.clone(), self.now + GIVES_UP_MS));
        self.figures.asked += 1;
        self.say(format_args!("{name} asks member {member}: {command:?}"));
        self.see(&Fact::Asked { name: &name, command: &command });
        if self.network.is_cut(from, to) || self.rng.chance(self.options.loss) {
            return;
        }
        let at = self.network.arrival(from, to, self.now, &self.options, &mut self.rng);
        self.at(at, Event::Asked { member, client, name, command: Box::new(command) });
    }

    /// An answer arrives.
    pub(super) fn answered(&mut self, client: usize, name: &str, told: &Told) {
        let known = !matches!(told, Told::Unknown);
        if let Told::Done(index, _) = told {
            self.acknowledged = self.acknowledged.max(*index);
        }
        self.figures.answered += u64::from(known);
        self.say(format_args!("{name} is told {}", brief(told)));
        self.clients[client].open.take_if(|it| it.0 == name);
    }
}

fn brief(told: &Told) -> String {
    match told {
        Told::Done(index, Ok(_)) => format!("done at {index}"),
        Told::Done(index, Err(rejected)) => format!("rejected at {index}: {rejected:?}"),
        Told::NotDone => "not done".to_owned(),
        Told::Unknown => "unknown".to_owned(),
    }
}
