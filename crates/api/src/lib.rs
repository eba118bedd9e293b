//! api

pub mod link;
