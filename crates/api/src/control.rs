//! What the REST surface may ask of the control plane: the seam between `api` and `scheduler`.

use cluster::agent::{LogAnswer, LogQuery};
use cluster::{Applied, Command, Event, Moment, NodeId, Principal, Rejected, State, Timestamp};
use futures::stream::BoxStream;
use std::future::Future;
use std::sync::Arc;

/// The control plane, as seen from its HTTP API. A clone is a handle to the same one.
pub trait ControlPlane: Clone + Send + Sync + 'static {
    /// Proposes a change and returns what it did, once it is committed and applied.
    fn submit(
        &self,
        principal: Principal,
        command: Command,
    ) -> impl Future<Output = Result<Applied, SubmitError>> + Send;

    /// Returns a snapshot of the cluster.
    fn view(&self, freshness: Freshness) -> impl Future<Output = Result<Arc<State>, SubmitError>> + Send;

    /// What happens, in the order of the log, from the entry behind `after` on; from now on where it is absent.
    ///
    /// The stream ends when this member stops to lead, and after [`EventItem::Lagged`]; a gap is its first item.
    fn events(&self, after: Option<u64>) -> BoxStream<'static, EventItem>;

    /// The nodes whose agents can be asked what containers wrote.
    fn answering(&self) -> Vec<NodeId>;

    /// Asks a node's agent what containers wrote. What cannot be answered is an answer too; an agent that is asked to
    /// follow says something at least every few seconds.
    fn logs(&self, node: &NodeId, query: LogQuery) -> BoxStream<'static, LogAnswer>;

    /// Who leads, as far as this member knows.
    fn leadership(&self) -> Leadership;

    /// Hands leadership over to the member that is best prepared, and waits until this one leads no more.
    ///
    /// # Errors
    /// This member does not lead, there is nobody to hand over to, or nobody took over in time: it goes on leading.
    fn abdicate(&self) -> impl Future<Output = Result<(), SubmitError>> + Send;

    /// This member's wall clock: for what is shown.
    fn now(&self) -> Timestamp;

    /// The cluster's own time as it goes on since [`State::moment`]: for how long something still waits.
    fn moment(&self) -> Moment;
}

/// How new a snapshot must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It has every change that was acknowledged before it was asked for.
    Linearizable,
    /// It is what this member has, at once; a member that was cut off has an old one.
    Local,
}

/// Why the control plane did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The cluster's answer is no; nothing was changed.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// This member does not lead; nothing was proposed.
    #[error("this member does not lead")]
    NotLeader {
        /// The leader's API, `host:port`, if known.
        leader: Option<String>,
    },
    /// The control plane cannot answer now; nothing was proposed.
    #[error("the control plane cannot answer now: {why}")]
    Unavailable {
        /// Why, for people.
        why: String,
    },
    /// The change was proposed, and whether it was accepted is not known: look before repeating it.
    #[error("the change was proposed, but its outcome is not known yet ({why}): look before repeating it")]
    Unknown {
        /// Why, for people.
        why: String,
    },
}

/// One element of the stream of events.
#[derive(Clone, Debug)]
pub enum EventItem {
    /// Something happened.
    Happened(Arc<Happened>),
    /// The events asked for are no longer kept: those of entries up to and with `through` are missing.
    Gap {
        /// The last entry whose events are missing.
        through: u64,
    },
    /// The reader was too slow, events were dropped, and the stream ends here.
    Lagged,
}

/// What one entry of the log did.
#[derive(Debug)]
pub struct Happened {
    /// The entry's index.
    pub index: u64,
    /// When, by the log.
    pub time: Timestamp,
    /// Who asked for it.
    pub principal: Principal,
    /// What, in order; at least one.
    pub events: Vec<Event>,
}

/// Who leads the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// Whether this member does.
    pub leading: bool,
    /// The leader's API, `host:port`, if known.
    pub leader_http: Option<String>,
    /// This member's API, `host:port`, as others reach it.
    pub this_http: String,
}
