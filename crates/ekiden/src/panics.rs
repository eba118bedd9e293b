//! What a panic does to a daemon: it ends it, except where a request is answered.
//!
//! A thread that panics leaves things half done, and the others would go on with them: a replica that applied half an
//! entry, a task of the leader that is missing for ever. A process that ends is started again and reads its log. Requests
//! are the exception ([`api::panics`]).

use std::panic::{PanicHookInfo, set_hook, take_hook};

/// From now on a panic ends the process.
pub(crate) fn end_the_process() {
    let print = take_hook();
    set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        print(panic);
        if !api::panics::is_contained() {
            std::process::abort();
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    /// Names what the test is to do in a process of its own.
    const WHAT: &str = "EKIDEN_TEST_PANICS";
    const ABORTED: i32 = 6;

    /// Runs this test in a process of its own.
    fn run(name: &str, what: &str) -> ExitStatus {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([&format!("panics::tests::{name}"), "--exact"]).env(WHAT, what).output().unwrap().status
    }

    #[test]
    fn a_panic_ends_the_process_wherever_it_is() {
        let name = "a_panic_ends_the_process_wherever_it_is";
        let Ok(what) = std::env::var(WHAT) else {
            for what in ["thread", "task", "blocking"] {
                assert_eq!(run(name, what).signal(), Some(ABORTED), "in a {what}");
            }
            return;
        };
        end_the_process();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        match what.as_str() {
            "thread" => drop(std::thread::spawn(|| panic!("planted")).join()),
            "task" => drop(runtime.block_on(runtime.spawn(async { panic!("planted") }))),
            _ => drop(runtime.block_on(runtime.spawn_blocking(|| panic!("planted")))),
        }
    }

    #[test]
    fn a_panic_of_a_request_does_not() {
        let name = "a_panic_of_a_request_does_not";
        if std::env::var(WHAT).is_err() {
            assert!(run(name, "request").success());
            return;
        }
        end_the_process();
        assert!(api::panics::contain(|| panic!("planted")).is_err());
    }
}
