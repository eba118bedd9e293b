//! Tests of the whole: a simulated world, the promises it is held to, and the faults planted to try them.
//!
//! | read | to learn |
//! |---|---|
//! | [`sim`] | the world: members, agents, engines, users, a network and disks, from one seed |
//! | [`check`] | what is promised, one file each |
//! | [`mutants`] | planted faults: what each promise's checker must find |

pub mod check;
pub mod mutants;
pub mod sim;
