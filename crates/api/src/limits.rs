//! How much a request may bring: the limits of every list, map and text of every definition, in one place.
//!
//! They are far beyond what people write, and low enough that what is accepted can be carried out: whatever is sent
//! on (to an agent, to a member) is at most one definition and a little more, or can be split into such parts.

/// A definition has at most so many bytes as it is kept and sent to agents: [`definition_bytes`] counts them. What an
/// agent is told of one instance is a part of its definition, so it is always far below a frame of the link.
pub const DEFINITION_BYTES_MAX: usize = 1 << 20;
/// All definitions of one change have at most so many bytes together: they are one entry of the log, and an entry
/// has to fit into a frame between members.
pub const CHANGE_BYTES_MAX: usize = 8 << 20;
/// A change has at most so many definitions, at any depth of groups.
pub const APPS_MAX: usize = 10_000;

/// An app has no more instances: a slip of the finger must not take the cluster.
pub const INSTANCES_MAX: u64 = 50_000;

/// A list has at most so many items, unless [`LISTS`] names it.
pub const ITEMS_MAX: usize = 64;
/// Lists, by their field's name, that may have more items than [`ITEMS_MAX`], or fewer.
pub const LISTS: &[(&str, usize)] = &[
    ("apps", APPS_MAX),
    ("args", 1024),
    ("argv", 1024),
    ("artifacts", 256),
    ("dependencies", 256),
    ("fetch", 256),
    ("groups", 1024),
    ("ids", INSTANCES_MAX as usize),
    ("parameters", 256),
    ("portDefinitions", 1024),
    ("portMappings", 1024),
    ("ports", 1024),
    ("uris", 256),
    ("volumeMounts", 256),
    ("volumes", 256),
];

/// A map of names to texts (`env`, `environment`, `labels`, `options`) has at most so many entries.
pub const ENTRIES_MAX: usize = 1024;
/// All names and values of a map together: what every agent is sent for every instance, bytes.
pub const MAP_BYTES_MAX: usize = 256 * 1024;

/// A text has at most so many bytes, unless it is one of [`LONG_TEXTS`]: as a path on Linux (`PATH_MAX`).
pub const TEXT_BYTES_MAX: usize = 4096;
/// Texts, by their field's name, that may have [`LONG_TEXT_BYTES_MAX`]: commands and their words, values of
/// parameters.
pub const LONG_TEXTS: &[&str] = &["args", "argv", "cmd", "shell", "value"];
/// Linux passes no longer text to a process (`MAX_ARG_STRLEN`); names and values of maps together have as much.
pub const LONG_TEXT_BYTES_MAX: usize = 128 * 1024;

/// A body has at most so many values, of whatever kind: each takes some 70 bytes of memory once it is read, whatever
/// it takes as text.
pub const VALUES_MAX: usize = 1 << 19;

/// How many items a list of this name may have.
pub fn items_max(name: &str) -> usize {
    LISTS.iter().find(|(it, _)| *it == name).map_or(ITEMS_MAX, |(_, max)| *max)
}

/// How many bytes a text of this name may have.
pub fn text_bytes_max(name: &str) -> usize {
    if LONG_TEXTS.contains(&name) { LONG_TEXT_BYTES_MAX } else { TEXT_BYTES_MAX }
}

/// How many bytes a definition has as it is kept.
pub fn definition_bytes(spec: &cluster::AppSpec) -> usize {
    let mut counter = Counter(0);
    // A counter takes all, and our own types always print.
    let _ = rmp_serde::encode::write_named(&mut counter, spec);
    crate::work::did(counter.0);
    counter.0
}

/// Counts what is written.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
