//! The cluster as its users see it: commands in, instances out.

mod deploying;
mod evidence;
mod failing;
mod groups;
mod learning;
mod living;
mod nodes;
mod ordering;
mod placing;
mod residents;
mod services;
mod support;
mod time;
mod versions;
