//! Which directories of the node an app may mount (SEC-8).
//!
//! What is checked is where a path leads, not how it is written: symbolic links are followed first.

use cluster::HostVolume;
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
}

/// The volume as Docker's bind, `host:container:mode`, where its host path is below one of `allowed`.
pub(super) fn bind(volume: &HostVolume, allowed: &[PathBuf]) -> Result<String, VolumeError> {
    let host = check_form(&volume.host_path)?;
    let container = check_form(&volume.container_path)?;
    let real = real_path(host);
    let is_below = |prefix: &Path| real.starts_with(real_path(prefix));
    let harmless = real != Path::new("/")
        && !NEVER.iter().any(|it| is_below(Path::new(it)) || real_path(Path::new(it)).starts_with(&real));
    if !harmless || !allowed.iter().any(|it| is_below(it)) {
        let names: Vec<String> = allowed.iter().map(|it| it.display().to_string()).collect();
        let allowed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(VolumeError::NotAllowed { path: real.display().to_string(), allowed });
    }
    let mode = match volume.mode {
        cluster::VolumeMode::Rw => "rw",
        cluster::VolumeMode::Ro => "ro",
    };
    Ok(format!("{}:{}:{mode}", real.display(), container.display()))
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
    use cluster::VolumeMode;

    fn volume(host: &str) -> HostVolume {
        HostVolume { container_path: "/data".into(), host_path: host.into(), mode: VolumeMode::Ro }
    }

    #[test]
    fn only_what_is_allowed_is_mounted_and_links_do_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::os::unix::fs::symlink("/etc", real.join("out")).unwrap();
        let path = |it: &str| real.join(it).display().to_string();
        let allowed = [real.clone()];
        assert_eq!(bind(&volume(&path("new/one")), &allowed), Ok(format!("{}:/data:ro", path("new/one"))));
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
            let refused = matches!(bind(&volume(&host), allowed), Err(VolumeError::NotAllowed { .. }));
            assert!(refused, "{host} with {allowed:?}");
        }
        for host in ["data", "/a/../etc", "/a:/b", ""] {
            assert!(matches!(bind(&volume(host), &allowed), Err(VolumeError::Malformed { .. })), "{host}");
        }
    }
}
