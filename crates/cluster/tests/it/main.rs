//! The cluster as its users see it: commands in, instances out.

mod deploying;
mod failing;
mod groups;
mod learning;
mod living;
mod ordering;
mod placing;
mod residents;
mod support;
mod time;
mod versions;
