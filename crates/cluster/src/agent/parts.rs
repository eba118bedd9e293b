//! The first set of assignments of a connection, which may come in parts.
//!
//! Whoever took a part for the whole would take all other instances for orphans.

use super::{Assignment, Input};
use crate::model::InstanceId;

/// What has come over one connection. Begin anew with each.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The first set is there.
    complete: bool,
    /// The generation of the parts so far.
    begun: Option<u64>,
    assignments: Vec<Assignment>,
    forget: Vec<InstanceId>,
    destroy: Vec<InstanceId>,
}

impl Parts {
    /// Takes one [`super::ToAgent::Assign`] in; returns what the agent is to be given, once it is whole.
    pub fn take(
        &mut self,
        generation: u64,
        assignments: Vec<Assignment>,
        forget: Vec<InstanceId>,
        destroy: Vec<InstanceId>,
        more: bool,
    ) -> Option<Input> {
        if self.complete {
            return Some(Input::Assigned { generation, assignments, forget, destroy, complete: false });
        }
        if self.begun.is_some_and(|it| it != generation) {
            // Not of one moment: together they would be a set that never was.
            *self = Self::default();
        }
        self.begun = Some(generation);
        self.assignments.extend(assignments);
        self.forget.extend(forget);
        self.destroy.extend(destroy);
        if more {
            return None;
        }
        let Self { assignments, forget, destroy, .. } = std::mem::take(self);
        self.complete = true;
        Some(Input::Assigned { generation, assignments, forget, destroy, complete: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClusterId;
    use crate::testing;

    fn instance(n: u32) -> InstanceId {
        InstanceId::derive(ClusterId(0xabc), 1, n)
    }

    fn part(parts: &mut Parts, generation: u64, n: u32, more: bool) -> Option<(Vec<InstanceId>, bool)> {
        match parts.take(
            generation,
            vec![testing::assignment(instance(n), testing::app("/web", 0))],
            vec![],
            vec![],
            more,
        )? {
            Input::Assigned { assignments, complete, .. } => {
                Some((assignments.iter().map(|it| it.instance).collect(), complete))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_set_is_whole_or_it_is_not_there() {
        let mut parts = Parts::default();
        assert_eq!(part(&mut parts, 5, 1, true), None);
        assert_eq!(part(&mut parts, 5, 2, true), None);
        assert_eq!(part(&mut parts, 5, 3, false), Some((vec![instance(1), instance(2), instance(3)], true)));
        assert_eq!(part(&mut parts, 6, 4, false), Some((vec![instance(4)], false)), "what follows is news");
    }

    #[test]
    fn parts_of_two_moments_make_no_set() {
        let mut parts = Parts::default();
        assert_eq!(part(&mut parts, 5, 1, true), None);
        assert_eq!(part(&mut parts, 6, 2, true), None);
        assert_eq!(part(&mut parts, 6, 3, false), Some((vec![instance(2), instance(3)], true)));
    }
}
