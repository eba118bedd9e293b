//! plan
use crate::{State, Step, Timestamp};
/// Leader's soft state.
#[derive(Debug, Default)]
pub struct Agenda;
/// A plan.
#[derive(Debug, Default)]
pub struct Plan { /// Steps.
 pub steps: Vec<Step> }
/// Plans.
pub fn plan(_state: &State, _agenda: &mut Agenda, _now: Timestamp) -> Plan { Plan::default() }
