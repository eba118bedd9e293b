//! `scripts/setup` on a machine that installs its own upgrades at that moment, played with programs that only say so.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A machine of its own for one run of the script: these programs, and none besides.
struct Machine(PathBuf);

impl Machine {
    /// With an `apt-get` that is this script, and sees `$calls`, where it may count.
    fn new(name: &str, apt_get: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&dir);
        let machine = Self(dir);
        fs::create_dir_all(machine.0.join("bin")).expect("a directory for programs");
        for program in ["bash", "env", "mktemp", "rm", "tail", "grep", "mkdir"] {
            let found = ["/usr/bin", "/bin"].map(|it| Path::new(it).join(program)).into_iter().find(|it| it.exists());
            symlink(found.expect(program), machine.0.join("bin").join(program)).expect("a link");
        }
        machine.program("id", "echo 0");
        machine.program("sleep", "exit 0");
        machine.program("apt-get", &format!("calls={}\n{apt_get}", machine.calls().display()));
        machine
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.0.join("bin").join(name);
        fs::write(&path, format!("#!{}/bin/bash\n{script}\n", self.0.display())).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    fn calls(&self) -> PathBuf {
        self.0.join("calls")
    }

    /// Sets up what is missing here.
    fn set_up(&self) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/setup");
        let mut command = Command::new(self.0.join("bin/bash"));
        command.arg(script).arg("dig").env_clear().env("PATH", self.0.join("bin")).env("HOME", &self.0);
        command.output().expect("starts")
    }
}

#[test]
fn packages_are_installed_when_their_turn_comes() {
    let machine = Machine::new(
        "apt-is-busy",
        r#"echo "$*" >>"$calls"
        [ "$(grep -c . "$calls")" -gt 3 ] && exit 0
        echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)" >&2
        exit 100"#,
    );
    let output = machine.set_up();
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{told}");
    assert!(told.contains("held by process 7") && told.contains("set up: dig;"), "{told}");
    let calls = fs::read_to_string(machine.calls()).expect("it was called");
    assert_eq!(calls.lines().count(), 4, "{calls}");
    assert!(calls.lines().all(|it| it.contains("DPkg::Lock::Timeout=")), "{calls}");
}

#[test]
fn other_trouble_is_told_at_once() {
    let machine =
        Machine::new("apt-knows-nothing", r#"echo "$*" >>"$calls"; echo "E: Unable to locate package" >&2; exit 100"#);
    let output = machine.set_up();
    let (told, trouble) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("not available: no package bind9-dnsutils"), "{told}");
    assert!(trouble.contains("Unable to locate package"), "{trouble}");
}
