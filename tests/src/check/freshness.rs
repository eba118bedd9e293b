//! Freshness: a read shows everything that anybody had been told was done before it was asked.

use super::{Check, Fact};

/// Needs no memory: the world knows what was told when.
#[derive(Default)]
pub(super) struct Freshness;

impl Check for Freshness {
    fn name(&self) -> &'static str {
        "freshness"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Read { member, known, seen } if seen < known => {
                Err(format!("member {member} answered as of {seen}; {known} had been acknowledged before"))
            }
            _ => Ok(()),
        }
    }
}
