//! The cluster as its users see it: commands in, instances out.

mod deploying;
mod failing;
mod placing;
mod support;
mod versions;
