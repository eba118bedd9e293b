//! Which directories of the node an app may mount (SEC-8).
//!
//! What is checked is where a path leads, not how it is written: symbolic links are followed first. That it leads there
//! still when it is mounted, `bound.rs` sees to.

use super::bound::Wanted;
use bollard::models::{
    HostConfig, Mount, MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig as DriverConfig,
};
use cluster::agent::mount_point;
use cluster::{ExternalVolume, VolumeMode};
use std::path::{Component, Path, PathBuf};

/// Never mounted, whatever is allowed: who writes there owns the node.
const NEVER: &[&str] =
    &["/proc", "/sys", "/dev", "/etc", "/boot", "/run/docker", "/var/lib/docker", "/run/docker.sock"];

/// Why an app may not mount a directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// It is not an absolute path, or has parts that Docker would misread.
    #[error("volume '{path}' must be an absolute path without '..' and ':'")]
    Malformed {
        /// The path.
        path: String,
    },
    /// The operator did not allow it.
    #[error(
        "volume '{path}' is not below a directory that this node allows; its agent's volumes_allowed names {allowed}"
    )]
    NotAllowed {
        /// Where the path leads.
        path: String,
        /// What is allowed.
        allowed: String,
    },
    /// It names something in the sandbox that is not there, or is a link that leads out of it.
    #[error("volume '{path}' is nothing that was fetched into the sandbox")]
    NotFetched {
        /// The path.
        path: String,
    },
    /// It could not be opened, or not be mounted for the engine.
    #[error("volume '{path}' cannot be mounted: {problem}")]
    Bind {
        /// The path.
        path: String,
        /// Why.
        problem: String,
    },
    /// It would be mounted where nothing may be.
    #[error("'{path}' is no path inside a container: it must name a file or directory, without '..' and ':'")]
    Inside {
        /// The path.
        path: String,
    },
    /// The operator did not allow its driver.
    #[error("volume driver '{driver}' is not allowed on this node; its agent's volume_drivers names {allowed}")]
    Driver {
        /// The driver.
        driver: String,
        /// What is allowed.
        allowed: String,
    },
    /// Docker's own driver would mount whatever its options say.
    #[error("volume '{name}': options are not allowed for Docker's driver 'local', as they could mount any directory")]
    Options {
        /// The volume's name.
        name: String,
    },
    /// Its name is none.
    #[error("'{name}' is no name of a Docker volume: 1 to 255 letters, digits, '-', '_', '.'")]
    Name {
        /// The name.
        name: String,
    },
}

impl VolumeError {
    pub(super) fn inside(path: &str) -> Self {
        Self::Inside { path: path.to_owned() }
    }
}

/// What a container sees besides its image.
#[derive(Debug, Default)]
pub(super) struct Mounted {
    /// What must be there already.
    pub(super) mounts: Vec<Mount>,
    /// What the agent puts there before: directories and files of the node that an app names.
    pub(super) wanted: Vec<Wanted>,
}

impl Mounted {
    /// One more directory, which must be there.
    pub(super) fn bind(&mut self, host: &Path, inside: &str, read_only: bool) {
        self.mounts.push(Mount {
            typ: Some(MountType::BIND),
            source: Some(host.display().to_string()),
            target: Some(inside.to_owned()),
            read_only: read_only.then_some(true),
            ..Mount::default()
        });
    }

    /// A directory or file of the node, under a place that the engine is given.
    pub(super) fn host(
        &mut self,
        path: &str,
        place: PathBuf,
        inside: &str,
        read_only: bool,
    ) -> Result<(), VolumeError> {
        check_form(path)?;
        self.bind(&place, inside, read_only);
        self.wanted.push(Wanted { path: path.to_owned(), place });
        Ok(())
    }

    /// Puts the mounts where they belong; what is wanted for them is left.
    pub(super) fn put(self, host_config: &mut HostConfig) -> Vec<Wanted> {
        host_config.mounts = (!self.mounts.is_empty()).then_some(self.mounts);
        self.wanted
    }
}

/// A volume that a Docker volume driver knows by name, where the operator allows the driver.
pub(super) fn external(volume: &ExternalVolume, drivers: &[String]) -> Result<Mount, VolumeError> {
    let ExternalVolume { name, driver, options, .. } = volume;
    let inside = mount_point(&volume.container_path).ok_or_else(|| VolumeError::inside(&volume.container_path))?;
    if !drivers.contains(driver) {
        let allowed = if drivers.is_empty() { "none".to_owned() } else { drivers.join(", ") };
        return Err(VolumeError::Driver { driver: driver.clone(), allowed });
    }
    if driver == "local" && !options.is_empty() {
        return Err(VolumeError::Options { name: name.clone() });
    }
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    if name.is_empty() || name.len() > 255 || !name.chars().all(plain) {
        return Err(VolumeError::Name { name: name.clone() });
    }
    let options = options.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let driver_config = DriverConfig { name: Some(driver.clone()), options: Some(options) };
    Ok(Mount {
        typ: Some(MountType::VOLUME),
        source: Some(name.clone()),
        target: Some(inside),
        read_only: (volume.mode == VolumeMode::Ro).then_some(true),
        volume_options: Some(MountVolumeOptions {
            driver_config: Some(driver_config),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    })
}

/// Where a path of the node leads, and below which of `allowed` that is.
pub(super) fn allowed_path(path: &str, allowed: &[PathBuf]) -> Result<(PathBuf, PathBuf), VolumeError> {
    let real = real_path(check_form(path)?);
    Ok((check_below(&real, allowed)?, real))
}

/// The one of `allowed` that a path without links is below.
pub(super) fn check_below(real: &Path, allowed: &[PathBuf]) -> Result<PathBuf, VolumeError> {
    let is_below = |prefix: &Path| real.starts_with(real_path(prefix));
    let harmless = real != Path::new("/")
        && !NEVER.iter().any(|it| is_below(Path::new(it)) || real_path(Path::new(it)).starts_with(real));
    let root = allowed.iter().map(|it| real_path(it)).find(|it| real.starts_with(it));
    root.filter(|_| harmless).ok_or_else(|| {
        let names: Vec<String> = allowed.iter().map(|it| it.display().to_string()).collect();
        let allowed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        VolumeError::NotAllowed { path: real.display().to_string(), allowed }
    })
}

fn check_form(path: &str) -> Result<&Path, VolumeError> {
    let parts = Path::new(path).components();
    let plain = path.starts_with('/') && !path.contains([':', '\0']);
    if plain && parts.into_iter().all(|it| matches!(it, Component::RootDir | Component::Normal(_))) {
        Ok(Path::new(path))
    } else {
        Err(VolumeError::Malformed { path: path.to_owned() })
    }
}

/// Where a path leads: its longest part that exists with all links followed, and the rest, which Docker makes.
fn real_path(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        if let Ok(real) = there.canonicalize() {
            let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
            // Joining nothing would add a slash.
            return if rest == Path::new("") { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn only_what_is_allowed_is_mounted_and_links_do_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::os::unix::fs::symlink("/etc", real.join("out")).unwrap();
        let path = |it: &str| real.join(it).display().to_string();
        let allowed = [real.clone()];
        assert_eq!(allowed_path(&path("new/one"), &allowed), Ok((real.clone(), real.join("new/one"))));
        for (host, allowed) in [
            (path("out"), &allowed[..]),
            (path("out/passwd"), &allowed[..]),
            (path("a"), &[][..]),
            (format!("{}x", real.display()), &allowed[..]),
            ("/".to_owned(), &[PathBuf::from("/")][..]),
            ("/var".to_owned(), &[PathBuf::from("/")][..]),
            ("/var/run/docker.sock".to_owned(), &[PathBuf::from("/var/run")][..]),
            ("/etc/shadow".to_owned(), &[PathBuf::from("/etc")][..]),
        ] {
            let refused = matches!(allowed_path(&host, allowed), Err(VolumeError::NotAllowed { .. }));
            assert!(refused, "{host} with {allowed:?}");
        }
        for host in ["data", "/a/../etc", "/a:/b", ""] {
            assert!(matches!(allowed_path(host, &allowed), Err(VolumeError::Malformed { .. })), "{host}");
        }
    }

    #[test]
    fn an_external_volume_needs_its_driver_allowed_and_docker_s_own_takes_no_options() {
        let volume = |name: &str, driver: &str, options: &[(&str, &str)]| ExternalVolume {
            container_path: "/data".into(),
            mode: VolumeMode::Ro,
            name: name.into(),
            driver: driver.into(),
            options: options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect::<BTreeMap<_, _>>(),
            shared: false,
        };
        let allowed = ["local".to_owned(), "rexray".to_owned()];
        let mount = external(&volume("db", "rexray", &[("size", "10")]), &allowed).unwrap();
        assert_eq!((mount.source.as_deref(), mount.target.as_deref()), (Some("db"), Some("/data")));
        assert_eq!(mount.read_only, Some(true));
        let config = mount.volume_options.unwrap().driver_config.unwrap();
        assert_eq!((config.name.as_deref(), &config.options.unwrap()["size"][..]), (Some("rexray"), "10"));
        assert!(external(&volume("db", "local", &[]), &allowed).is_ok());
        let of = |volume: &ExternalVolume, allowed: &[String]| external(volume, allowed).unwrap_err();
        let bind = volume("db", "local", &[("type", "none"), ("o", "bind"), ("device", "/etc")]);
        assert!(matches!(of(&bind, &allowed), VolumeError::Options { .. }));
        assert!(matches!(of(&volume("db", "rexray", &[]), &[]), VolumeError::Driver { .. }));
        assert!(matches!(of(&volume("/etc", "local", &[]), &allowed), VolumeError::Name { .. }));
        let outside = ExternalVolume { container_path: "../x".into(), ..volume("db", "local", &[]) };
        assert!(matches!(of(&outside, &allowed), VolumeError::Inside { .. }));
    }
}
