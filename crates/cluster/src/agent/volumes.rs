//! Where an instance's own directories are: inside its containers, and on the node.
//!
//! On the node each volume is one directory of its own, beside the others and never below another one: nothing that a
//! container can write to leads to something that is mounted or written later.

use std::path::{Component, Path};

/// Where the sandbox is mounted, as in Mesos; `$MESOS_SANDBOX`.
pub const SANDBOX: &str = "/mnt/mesos/sandbox";

/// Where a volume is mounted: its path, or, without a leading slash, that in the sandbox. Nothing if it would be
/// elsewhere, or be the root or the sandbox itself.
pub fn mount_point(container_path: &str) -> Option<String> {
    let plain = |it: Component<'_>| matches!(it, Component::RootDir | Component::Normal(_));
    let path = Path::new(container_path);
    let names_something = path.file_name().is_some();
    if !names_something || container_path.contains(['\0', ':']) || !path.components().all(plain) {
        return None;
    }
    let whole = Path::new(SANDBOX).join(path);
    if whole == Path::new(SANDBOX) { None } else { whole.to_str().map(str::to_owned) }
}

/// A text as the name of one directory: what is neither letter nor digit nor `-`, `_`, `.` is written `%2f`; so is a
/// dot at the beginning.
pub fn dir_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && !name.is_empty());
        if plain {
            name.push(char::from(byte));
        } else {
            name.push('%');
            name.extend([byte >> 4, byte & 15].map(|it| char::from_digit(it.into(), 16).unwrap_or('0')));
        }
    }
    name
}

/// What to do about the directory of a persistent volume, before an instance gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is there.
    Use,
    /// It never was: an empty one is made.
    Make,
    /// It was there once, and is not: the data are lost, or their disk is not mounted. Nobody starts on an empty one
    /// as if nothing had happened.
    Lost,
}

/// What to do about the directory of a persistent volume; `made` is whether the agent has noted that it once made it.
pub const fn fate(made: bool, is_there: bool) -> Fate {
    match (made, is_there) {
        (_, true) => Fate::Use,
        (false, false) => Fate::Make,
        (true, false) => Fate::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_mounted_where_they_say_or_in_the_sandbox() {
        for (path, expect) in [
            ("/data", Some("/data")),
            ("/var/lib/db/", Some("/var/lib/db/")),
            ("data", Some("/mnt/mesos/sandbox/data")),
            ("a/b", Some("/mnt/mesos/sandbox/a/b")),
            ("", None),
            (".", None),
            ("/", None),
            ("..", None),
            ("a/../../../etc", None),
            ("/a/../etc", None),
            ("/a:/b", None),
            ("/mnt/mesos/sandbox", None),
            ("/mnt/mesos/sandbox/", None),
        ] {
            assert_eq!(mount_point(path).as_deref(), expect, "{path:?}");
        }
    }

    #[test]
    fn every_text_is_one_directory_and_no_two_the_same() {
        let texts = ["data", "/data", "/data/sub", "/data%2fsub", "a b", "..", ".", ".hidden", "/ä", "A", "a"];
        let names: Vec<String> = texts.iter().map(|it| dir_name(it)).collect();
        assert_eq!(names[..4], ["data", "%2fdata", "%2fdata%2fsub", "%2fdata%252fsub"]);
        assert_eq!(names[5..8], ["%2e.", "%2e", "%2ehidden"]);
        for (n, name) in names.iter().enumerate() {
            assert!(!name.contains('/') && name != "." && name != "..", "{name}");
            assert!(!names[..n].contains(name), "{name}");
        }
    }

    #[test]
    fn what_was_there_once_is_not_made_again() {
        for (made, is_there, expect) in
            [(false, false, Fate::Make), (false, true, Fate::Use), (true, true, Fate::Use), (true, false, Fate::Lost)]
        {
            assert_eq!(fate(made, is_there), expect);
        }
    }
}
