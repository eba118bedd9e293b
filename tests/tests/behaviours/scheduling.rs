//! x
use cluster::{AppSpec, PersistentVolume, ReadinessCheck, Unreachable, Volume, VolumeMode};

/// The same app, whose new instances are asked whether they are ready.
pub(crate) fn asking_readiness(mut spec: AppSpec) -> AppSpec {
    let port_name = spec.run.ports[0].name.clone().unwrap();
    spec.policy.readiness_checks = vec![ReadinessCheck {
        name: "ready".to_owned(),
        tls: false,
        path: "/ready".to_owned(),
        port_name,
        interval_ms: 1_000,
        timeout_ms: 500,
        codes: vec![200],
        keep_response: true,
    }];
    spec
}

/// The same app, whose instances keep 10 MiB of data each.
pub(crate) fn resident(mut spec: AppSpec) -> AppSpec {
    let container_path = "data".to_owned();
    spec.run.volumes =
        vec![Volume::Persistent(PersistentVolume { container_path, size_mib: 10, mode: VolumeMode::Rw })];
    spec.policy.unreachable = Unreachable::Disabled;
    spec.policy.upgrade = cluster::UpgradeStrategy { min_health_ppm: 500_000, max_over_ppm: 0 };
    spec
}
