//! What an agent does next about one container: the decision, whole.
//!
//! | wanted | absent | created | running | exited |
//! |---|---|---|---|---|
//! | run, not started yet | start | start | – | keep |
//! | run, was started, or has ended | – | keep, remove | – | keep |
//! | stop | – | keep, remove | stop | keep, remove |
//!
//! What a container that ran left behind is kept before anything else is done about its end: it is removed only after
//! that. Nothing is done where nothing is known of the container. Only an explicit stop ends a running one; one that ended
//! by itself stays, with its logs, until the cluster orders its removal. A pod lives and dies as one: where one of its
//! containers has ended the others are stopped, whatever is wanted, and where one was never made the others are removed
//! with it.

use crate::model::{End, EndKind, signal};

/// What the cluster wants of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It shall run.
    Run {
        /// It was seen running, or has ended: it is not started (again).
        over: bool,
    },
    /// It shall end and its container be removed.
    Stop,
}

/// What is known of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Container {
    /// There is none of this name.
    Absent,
    /// It was made and never started.
    Created,
    /// It runs.
    Running {
        /// Its own address, where it has one.
        ip: Option<String>,
        /// Its own IPv6 address, where it has one.
        ipv6: Option<String>,
    },
    /// It has ended.
    Exited(Exit),
}

/// How a container ended, as Docker tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// The exit code.
    pub code: Option<i64>,
    /// The kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// Docker's own remark; mostly empty.
    pub error: String,
    /// Which container of a pod it was, the first to end; empty for an app.
    pub container: String,
    /// Other containers of the pod still run: they are to end.
    pub rest: bool,
}

/// What to do about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: all is as it should be, or not known.
    Nothing,
    /// Make and start it.
    Start,
    /// End it, politely at first.
    Stop,
    /// Keep what it left behind.
    Keep,
    /// Remove it.
    Remove,
}

/// Decides what to do about a container; `None` is one of which nothing is known (INV-F2). `kept`: what it left behind
/// is safe, or it never ran.
pub const fn next(wanted: Wanted, container: Option<&Container>, kept: bool) -> Next {
    let Some(container) = container else { return Next::Nothing };
    match (wanted, container) {
        (Wanted::Run { over: false }, Container::Absent | Container::Created) => Next::Start,
        (Wanted::Run { over: true } | Wanted::Stop, Container::Created)
        | (_, Container::Exited(Exit { rest: false, .. }))
            if !kept =>
        {
            Next::Keep
        }
        // A failed start leaves a container behind that never ran (INV-D4).
        (_, Container::Created) | (Wanted::Stop, Container::Exited(Exit { rest: false, .. })) => Next::Remove,
        (Wanted::Stop, Container::Running { .. }) | (_, Container::Exited(Exit { rest: true, .. })) => Next::Stop,
        (Wanted::Run { .. }, Container::Running { .. } | Container::Exited(_)) | (_, Container::Absent) => {
            Next::Nothing
        }
    }
}

/// How an instance ended whose container exited; `stopped` if that is what the agent wanted.
pub fn end_of(exit: &Exit, stopped: bool) -> End {
    let (kind, mut message) = match exit.code {
        _ if stopped => (EndKind::Killed, "stopped by Ekiden".to_owned()),
        _ if exit.out_of_memory => {
            (EndKind::OutOfMemory, "killed by the kernel: the container took more memory than its limit".to_owned())
        }
        Some(0) => (EndKind::Finished, "exited with code 0".to_owned()),
        Some(code) => (EndKind::Failed, format!("exited with code {code}{}", in_words(code))),
        None => (EndKind::Failed, "ended, and Docker does not know how".to_owned()),
    };
    if !stopped && !exit.container.is_empty() {
        message = format!("container {}: {message}", exit.container);
    }
    if !exit.error.is_empty() {
        message = format!("{message}: {}", exit.error);
    }
    End { kind, exit_code: exit.code, message }
}

/// What an exit code says by convention.
fn in_words(code: i64) -> String {
    match (code, signal(code)) {
        (126, _) => " (the command cannot be executed)".to_owned(),
        (127, _) => " (the command was not found)".to_owned(),
        (_, Some(signal)) => format!(" (signal {signal})"),
        (_, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_decision() {
        use Next::{Keep, Nothing, Remove, Start, Stop};
        let running = Container::Running { ip: None, ipv6: None };
        let exited = Container::Exited(Exit::default());
        let containers = [None, Some(&Container::Absent), Some(&Container::Created), Some(&running), Some(&exited)];
        for (wanted, kept, expect) in [
            (Wanted::Run { over: false }, false, [Nothing, Start, Start, Nothing, Keep]),
            (Wanted::Run { over: true }, false, [Nothing, Nothing, Keep, Nothing, Keep]),
            (Wanted::Stop, false, [Nothing, Nothing, Keep, Stop, Keep]),
            (Wanted::Run { over: false }, true, [Nothing, Start, Start, Nothing, Nothing]),
            (Wanted::Run { over: true }, true, [Nothing, Nothing, Remove, Nothing, Nothing]),
            (Wanted::Stop, true, [Nothing, Nothing, Remove, Stop, Remove]),
        ] {
            assert_eq!(containers.map(|it| next(wanted, it, kept)), expect, "{wanted:?}, kept: {kept}");
        }
    }

    #[test]
    fn where_one_container_of_a_pod_has_ended_the_others_are_stopped() {
        let exit = Exit { code: Some(3), container: "log".into(), rest: true, ..Exit::default() };
        let pod = Container::Exited(exit.clone());
        for wanted in [Wanted::Run { over: false }, Wanted::Run { over: true }, Wanted::Stop] {
            assert_eq!(next(wanted, Some(&pod), false), Next::Stop, "{wanted:?}");
        }
        assert_eq!(end_of(&exit, false).message, "container log: exited with code 3");
        assert_eq!(end_of(&exit, true).message, "stopped by Ekiden");
    }

    #[test]
    fn ends_say_what_happened() {
        let exit = |code, out_of_memory| Exit { code, out_of_memory, ..Exit::default() };
        for (exit, stopped, kind, message) in [
            (exit(Some(0), false), false, EndKind::Finished, "exited with code 0"),
            (exit(Some(3), false), false, EndKind::Failed, "exited with code 3"),
            (exit(Some(137), false), false, EndKind::Failed, "exited with code 137 (signal KILL)"),
            (
                exit(Some(137), true),
                false,
                EndKind::OutOfMemory,
                "killed by the kernel: the container took more memory than its limit",
            ),
            (exit(Some(143), false), true, EndKind::Killed, "stopped by Ekiden"),
            (exit(None, false), false, EndKind::Failed, "ended, and Docker does not know how"),
        ] {
            let end = end_of(&exit, stopped);
            assert_eq!((end.kind, end.message.as_str(), end.exit_code), (kind, message, exit.code));
        }
    }
}
