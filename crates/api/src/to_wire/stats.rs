//! Counts of an app's instances by how new they are.

use super::task::add;
use crate::v2;
use cluster::{App, Instance, Moment, State};

/// Counts and ages, by version (RAML `TaskStatsByVersion`).
pub fn task_stats(state: &State, app: &App, now: Moment) -> v2::TaskStatsByVersion {
    let stats = |of: &dyn Fn(&Instance) -> bool| {
        let chosen: Vec<&Instance> =
            state.instances_of(app).map(AsRef::as_ref).filter(|it| super::is_listed(it) && of(it)).collect();
        (!chosen.is_empty()).then(|| summary(state, &chosen, now))
    };
    v2::TaskStatsByVersion {
        started_after_last_scaling: stats(&|it| it.version >= app.current.scaled),
        with_latest_config: stats(&|it| app.is_current(it)),
        with_outdated_config: stats(&|it| !app.is_current(it)),
        total_summary: stats(&|_| true),
    }
}

fn summary(state: &State, instances: &[&Instance], now: Moment) -> v2::Stats {
    let mut counts = v2::TaskCounts::default();
    for instance in instances {
        add(&mut counts, state, instance);
    }
    let mut ages: Vec<f64> =
        instances.iter().filter_map(|it| Some(now.since_ms(it.started?) as f64 / 1000.0)).collect();
    ages.sort_by(f64::total_cmp);
    let life_time = (!ages.is_empty()).then(|| {
        let (low, high) = (ages[(ages.len() - 1) / 2], ages[ages.len() / 2]);
        v2::LifeTime {
            average_seconds: v2::Number(ages.iter().sum::<f64>() / ages.len() as f64),
            median_seconds: v2::Number(f64::midpoint(low, high)),
        }
    });
    v2::Stats { stats: v2::TaskStats { counts, life_time } }
}
