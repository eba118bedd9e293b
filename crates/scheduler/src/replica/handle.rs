//! The handle to a running replica.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread;
use std::time::Instant;

use cluster::Moment;
use tokio::sync::{oneshot, watch};

use super::Event;
use super::events::{Events, Source};
use crate::machine::{Machine, Payload};
use crate::member::{Answer, Refused, Status};

/// Why a command was not done, or may not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The member's answer.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The replica has stopped. A command may have been done.
    #[error("this member has stopped")]
    Stopped,
}

/// What a replica shows of itself at any time.
#[derive(Clone, Debug)]
pub struct Seen<V> {
    /// Who leads.
    pub status: Status,
    /// The last entry that `view` contains.
    pub applied: u64,
    /// The state.
    pub view: V,
    /// The cluster's own time …
    pub(super) moment: Moment,
    /// … as it was then.
    pub(super) moment_at: Instant,
}

impl<V> Seen<V> {
    /// Returns the cluster's own time as it goes on.
    pub fn moment(&self) -> Moment {
        self.moment.plus_ms(self.moment_at.elapsed().as_millis() as u64)
    }
}

/// A handle to a running replica. The replica stops when the last one is dropped, or by [`stop`](Handle::stop).
pub struct Handle<M: Machine> {
    pub(super) inbox: SyncSender<Event<M>>,
    pub(super) seen: watch::Receiver<Seen<M::View>>,
    pub(super) events: Source<M::Event>,
}

impl<M: Machine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self { inbox: self.inbox.clone(), seen: self.seen.clone(), events: self.events.clone() }
    }
}

impl<M: Machine> Handle<M> {
    /// Asks for a change, and waits until it is applied here.
    ///
    /// # Errors
    /// [`SubmitError`]; only [`Refused::Unknown`] and [`SubmitError::Stopped`] leave open whether it was done.
    pub async fn submit(&self, payload: Payload) -> Result<Answer<M::Reply>, SubmitError> {
        let (answer, answered) = oneshot::channel();
        self.send(Event::Submit(payload, answer))?;
        Ok(answered.await.map_err(|_| SubmitError::Stopped)??)
    }

    /// Waits until this member has applied everything that was acknowledged before the call, and returns the state.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn read(&self) -> Result<M::View, SubmitError> {
        let (answer, answered) = oneshot::channel();
        self.send(Event::Read(answer))?;
        answered.await.map_err(|_| SubmitError::Stopped)??;
        Ok(self.local())
    }

    /// Returns the state as this member has it, at once and perhaps outdated; by a tick where this member does not lead.
    pub fn local(&self) -> M::View {
        self.seen.borrow().view.clone()
    }

    /// Returns who leads, as this member sees it.
    pub fn status(&self) -> Status {
        self.seen.borrow().status
    }

    /// Returns the cluster's own time.
    pub fn moment(&self) -> Moment {
        self.seen.borrow().moment()
    }

    /// Returns a receiver that is told of every change of state and status.
    pub fn watch(&self) -> watch::Receiver<Seen<M::View>> {
        self.seen.clone()
    }

    /// Returns what happens from the entry behind `after` on, or from now on.
    pub fn events(&self, after: Option<u64>) -> Events<M::Event> {
        Events::new(self.events.clone(), after)
    }

    /// Hands leadership over, if this member leads.
    pub fn transfer(&self, to: u64) {
        let _ = self.send(Event::Transfer(to));
    }

    /// Hands leadership over to whoever is best prepared, if this member leads and there is somebody.
    pub fn step_down(&self) {
        let _ = self.send(Event::StepDown);
    }

    /// Waits until the replica has stopped.
    pub async fn stopped(&self) {
        let mut seen = self.seen.clone();
        while seen.changed().await.is_ok() {}
    }

    /// Stops the replica. If it leads, it hands leadership over first and answers who waits, for a second at most.
    pub fn stop(&self) {
        let inbox = self.inbox.clone();
        if inbox.try_send(Event::Stop).is_err() {
            // Full, or gone. Waiting is not for a caller who may be a task.
            thread::spawn(move || inbox.send(Event::Stop));
        }
    }

    fn send(&self, event: Event<M>) -> Result<(), SubmitError> {
        self.inbox.try_send(event).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Overloaded.into(),
            TrySendError::Disconnected(_) => SubmitError::Stopped,
        })
    }
}
