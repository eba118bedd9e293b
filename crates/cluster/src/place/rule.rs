//! One constraint, as a node is judged by it.

use crate::model::{Constraint, Node, NodeId, Operator};
use crate::pattern::{Pattern, Unusable};
use crate::roster::Members;
use crate::work;
use imbl::OrdMap;
use std::collections::BTreeMap;

/// One constraint, made ready.
pub(super) struct Rule<'a> {
    pub(super) constraint: &'a Constraint,
    /// LIKE, UNLIKE: what it describes, or why nobody can say.
    pub(super) pattern: Option<&'a Result<Pattern, Unusable>>,
    /// MAX_PER, GROUP_BY: its number.
    number: Option<u32>,
    /// Where the app's instances are by node, kind by kind: those that a limit by the nodes' names counts.
    pub(super) there: Vec<&'a OrdMap<NodeId, u32>>,
    /// How many others are on nodes with a value.
    pub(super) counts: BTreeMap<String, u32>,
}

impl<'a> Rule<'a> {
    pub(super) fn of((constraint, pattern): (&'a Constraint, &'a Option<Result<Pattern, Unusable>>)) -> Self {
        let number = constraint.value.as_deref().and_then(|it| it.parse().ok());
        Self { constraint, pattern: pattern.as_ref(), number, there: Vec::new(), counts: BTreeMap::new() }
    }

    /// Whether a value bears so many instances and no more.
    pub(super) fn is_a_limit(&self) -> bool {
        matches!(self.constraint.operator, Operator::Unique | Operator::MaxPer)
    }

    /// Whether nodes with the same attributes all keep it, or none does, whatever else is on them.
    pub(super) fn is_of_class(&self) -> bool {
        !self.constraint.is_counted() && !self.constraint.is_by_name()
    }

    /// Takes note of the app's instances of one kind. A limit by name is looked up node by node.
    pub(super) fn count_all(&mut self, members: &'a Members) {
        let field = &self.constraint.field;
        if !self.constraint.is_by_name() {
            for (value, n) in members.values(field).into_iter().flatten() {
                work::did(1);
                self.count(value, *n);
            }
        } else if self.is_a_limit() {
            self.there.push(members.places());
        } else {
            for (id, n) in members.places() {
                work::did(1);
                self.count(id.as_str(), *n);
            }
        }
    }

    /// Takes note of instances on nodes with this value.
    pub(super) fn count(&mut self, value: &str, n: u32) {
        match self.counts.get_mut(value) {
            Some(count) => *count += n,
            None => {
                self.counts.insert(value.to_owned(), n);
            }
        }
    }

    /// How many instances bear the value that a node has.
    fn count_on(&self, node: &NodeId, value: &str) -> u32 {
        self.there.iter().filter_map(|it| it.get(node)).chain(self.counts.get(value)).sum()
    }

    /// Whether one more instance on the node keeps the constraint.
    pub(super) fn holds(&self, node: &Node) -> bool {
        if self.pattern.is_some_and(Result::is_err) {
            // Nobody can say which nodes were meant: none is taken, neither by LIKE nor by UNLIKE.
            return false;
        }
        let Some(value) = node.field(&self.constraint.field) else {
            return self.constraint.operator == Operator::Unlike;
        };
        let matches = || self.pattern.is_some_and(|it| it.as_ref().is_ok_and(|it| it.matches(value)));
        let count = || self.count_on(node.id(), value);
        match self.constraint.operator {
            Operator::Like => matches(),
            Operator::Unlike => !matches(),
            Operator::Is => self.constraint.value.as_deref() == Some(value),
            Operator::Cluster => match &self.constraint.value {
                Some(wanted) => wanted == value,
                None => self.counts.is_empty() || count() > 0,
            },
            Operator::Unique => count() == 0,
            Operator::MaxPer => count() < self.number.unwrap_or(0),
            Operator::GroupBy => self.keeps_groups_even(count()),
        }
    }

    /// A new value is always fine; a known one if there are enough groups, and none is smaller.
    fn keeps_groups_even(&self, count: u32) -> bool {
        let enough = self.counts.len() >= self.number.unwrap_or(0) as usize;
        count == 0 || (enough && self.counts.values().all(|it| *it >= count))
    }

    pub(super) fn why(&self, node: &Node) -> String {
        let Constraint { field, operator, value } = self.constraint;
        if let Some(Err(unusable)) = self.pattern {
            return format!("constraint {field}:{} cannot be met: {unusable}", operator.name());
        }
        let value = value.as_deref().map(|it| format!(":{it}")).unwrap_or_default();
        let found = match node.field(field) {
            Some(found) => format!("the node's is {found:?}"),
            None => "the node has no such attribute".to_owned(),
        };
        format!("constraint {field}:{}{value} is not met: {found}", operator.name())
    }
}
