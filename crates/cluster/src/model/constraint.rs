//! Placement constraints (RAML `Constraint`).

use serde::{Deserialize, Serialize};

/// A rule on the nodes an app's instances may run on: `[field, operator, value]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Constraint {
    /// `hostname` (or `@hostname`): the node's name; otherwise the name of a node's attribute.
    pub field: String,
    /// What must hold of the field.
    pub operator: Operator,
    /// The operator's argument, where it takes one.
    pub value: Option<String>,
}

/// What must hold of a constraint's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// No two instances share a value.
    Unique,
    /// All instances share a value: the given one, or that of the first placed.
    Cluster,
    /// Instances are spread evenly over the values.
    GroupBy,
    /// The value matches the regular expression, whole.
    Like,
    /// The value does not match the regular expression, or there is none.
    Unlike,
    /// At most so many instances share a value.
    MaxPer,
    /// The value equals the given one.
    Is,
}

impl Constraint {
    /// What LIKE and UNLIKE describe values by.
    pub fn pattern(&self) -> Option<&str> {
        matches!(self.operator, Operator::Like | Operator::Unlike).then(|| self.value.as_deref().unwrap_or_default())
    }

    /// Whether the app's instances are counted by value.
    pub const fn is_counted(&self) -> bool {
        match self.operator {
            Operator::Unique | Operator::MaxPer | Operator::GroupBy => true,
            Operator::Cluster => self.value.is_none(),
            Operator::Like | Operator::Unlike | Operator::Is => false,
        }
    }

    /// Whether it is about the nodes' names.
    pub fn is_by_name(&self) -> bool {
        matches!(&*self.field, "hostname" | "@hostname")
    }
}

impl Operator {
    /// The operator's name in app definitions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unique => "UNIQUE",
            Self::Cluster => "CLUSTER",
            Self::GroupBy => "GROUP_BY",
            Self::Like => "LIKE",
            Self::Unlike => "UNLIKE",
            Self::MaxPer => "MAX_PER",
            Self::Is => "IS",
        }
    }

    /// The operator of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Unique, Self::Cluster, Self::GroupBy, Self::Like, Self::Unlike, Self::MaxPer, Self::Is]
            .into_iter()
            .find(|it| it.name() == name)
    }
}
