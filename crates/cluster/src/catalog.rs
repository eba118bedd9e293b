//! Instances to Consul services.
