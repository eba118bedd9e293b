//! ekiden
fn main() {}
