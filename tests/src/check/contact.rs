//! Contact: a node is given up only when nobody could reach it, and every message fits into a frame.

use super::{Check, Fact};

/// Nothing needs to be remembered.
#[derive(Default)]
pub(super) struct Contact;

impl Check for Contact {
    fn name(&self) -> &'static str {
        "contact"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::GivenUp { node, reachable_ms, allowed_ms } if reachable_ms > allowed_ms => Err(format!(
                "{node} was given up although its agent could reach the leader for {reachable_ms} ms, and {allowed_ms} \
                 are enough to be heard of"
            )),
            Fact::Framed { bytes, bytes_max, what } if bytes > bytes_max => {
                Err(format!("a frame of {bytes} bytes is refused by the other side, which takes {bytes_max}: {what}"))
            }
            _ => Ok(()),
        }
    }
}
