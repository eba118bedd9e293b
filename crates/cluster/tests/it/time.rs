//! Wall clocks go where they want; what waits goes on.

use crate::support::{Cluster, app, node};
use cluster::*;

const HOUR: i64 = 3_600_000;

/// An hour, a day, two years, both ways.
const JUMPS: [i64; 6] = [HOUR, -HOUR, 24 * HOUR, -24 * HOUR, 2 * 365 * 24 * HOUR, -2 * 365 * 24 * HOUR];

/// A cluster in the year 2026, whose wall clock can be set.
fn cluster() -> Cluster {
    let mut cluster = Cluster::with_nodes(2);
    cluster.skew_ms = 56 * 365 * 24 * HOUR;
    cluster
}

/// Lets something be written while the clock is set wrongly.
fn with_wrong_clock(cluster: &mut Cluster, by_ms: i64) {
    cluster.skew_ms += by_ms;
    let _ = cluster.ask(Command::Register { node: node("n9", &[("rack", &format!("{by_ms}"))]) });
    cluster.skew_ms -= by_ms;
}

#[test]
fn delays_after_failures_last_as_long_whatever_clocks_say() {
    for jump in JUMPS {
        let mut cluster = cluster();
        cluster.put(app("/web", 1)).unwrap();
        cluster.obey(Health::Unknown);
        let failed = cluster.wanted("/web")[0];
        with_wrong_clock(&mut cluster, jump);
        cluster.crash(failed);
        with_wrong_clock(&mut cluster, jump);
        let delay_ms = cluster.app("/web").backoff.delay_ms;
        assert!(delay_ms > 0);
        cluster.obey(Health::Unknown);
        cluster.wait(delay_ms + 10);
        assert_eq!(cluster.wanted("/web").len(), 1, "the delay is over, jump {jump}");
        assert_ne!(cluster.wanted("/web")[0], failed);
    }
}

#[test]
fn deployments_fail_at_their_deadline_whatever_clocks_say() {
    for jump in JUMPS {
        let mut cluster = cluster();
        cluster.put(app("/web", 1)).unwrap();
        let deadline_ms = cluster.state.deployments().next().unwrap().deadline_ms;
        with_wrong_clock(&mut cluster, jump);
        cluster.wait(deadline_ms - 1_000);
        assert_eq!(cluster.state.n_active_deployments(), 1, "not before, jump {jump}");
        cluster.wait(1_100);
        assert_eq!(cluster.state.n_active_deployments(), 0, "not later, jump {jump}");
    }
}

#[test]
fn instances_of_lost_nodes_are_given_up_in_time_whatever_clocks_say() {
    for jump in JUMPS {
        let mut cluster = cluster();
        let mut spec = app("/web", 1);
        spec.policy.unreachable = Unreachable::After { inactive_ms: 60_000, expunge_ms: 120_000 };
        cluster.put(spec).unwrap();
        cluster.obey(Health::Unknown);
        let lost = cluster.wanted("/web")[0];
        let on = cluster.state.instance(lost).unwrap().node.clone();
        cluster.ask(Command::Lose { node: on }).unwrap();
        with_wrong_clock(&mut cluster, jump);
        cluster.wait(59_000);
        assert_eq!(cluster.wanted("/web"), [lost], "not before, jump {jump}");
        cluster.wait(1_100);
        let wanted = cluster.wanted("/web");
        assert!(wanted.len() == 1 && wanted != [lost], "another one comes, jump {jump}");
    }
}

#[test]
fn what_is_shown_is_right_again_and_versions_go_on() {
    for jump in JUMPS {
        let mut cluster = cluster();
        let mut versions = Vec::new();
        let mut put = |cluster: &mut Cluster, n| {
            let apps = vec![(app("/web", n), Expect::Any)];
            let applied = cluster.apply(Command::PutApps { apps, force: true }).unwrap();
            versions.push(applied.version.unwrap());
        };
        put(&mut cluster, 1);
        cluster.skew_ms += jump;
        put(&mut cluster, 2);
        put(&mut cluster, 3);
        cluster.skew_ms -= jump;
        put(&mut cluster, 4);
        // What is wanted already is answered as well.
        put(&mut cluster, 4);
        let right = cluster.now.cast_signed() + cluster.skew_ms;
        assert_eq!(cluster.state.time().0.cast_signed(), right);
        assert!(versions.is_sorted(), "jump {jump}: {versions:?}");
        versions.dedup();
        assert_eq!(versions.len(), 4, "what is wanted already has its version");
        cluster.plan();
        let launched = cluster.state.instances().next_back().unwrap().launched_at;
        assert!(launched.0.abs_diff(right.cast_unsigned()) < 1_000);
    }
}
