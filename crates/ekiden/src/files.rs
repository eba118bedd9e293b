//! How many files this process may have open.
//!
//! Shells and systemd start programs with a soft limit of 1024 for the sake of those that use `select`, and let them
//! raise it. What is left is shared out: half to connections of the API, the rest to the log and everybody else.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer are too few to serve anybody beside the log and the engine.
const TOO_FEW: u64 = 512;

/// Raises the limit as far as it may be raised.
pub(crate) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, ?current, ?maximum, "the limit of open files could not be raised");
    }
}

/// How many there may be.
pub(crate) fn limit() -> u64 {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if limit < TOO_FEW {
        tracing::warn!(limit, "this process may have few files open: raise its hard limit (LimitNOFILE, ulimit -Hn)");
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let lower = Some(maximum.unwrap_or(u64::MAX).min(512));
        setrlimit(Resource::Nofile, Rlimit { current: lower, maximum }).unwrap();
        assert_eq!(Some(limit()), lower);
        raise_limit();
        assert_eq!(limit(), maximum.unwrap_or(u64::MAX));
    }
}
