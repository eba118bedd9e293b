//! Commands that run inside of a container by the agent's wish, such as a COMMAND check: none is left behind, whatever
//! becomes of it.

use super::spec::member_name;
use super::{Docker, Error, READ_DEADLINE};
use crate::processes;
use bollard::exec::{CreateExecOptions, StartExecResults};
use cluster::InstanceId;
use cluster::agent::Outcome;
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// So much of what a command writes is kept, bytes: the engine's own words are among it.
const MAX_OUTPUT: usize = 500;

/// So many processes that have ended may stay in the kernel's list for one instance, because the first process of its
/// container waits for no children. They count for the most processes that it may have; from here on no more commands
/// are run in it.
const UNREAPED_MAX: usize = 256;

/// What is said of them.
const UNREAPED: &str = "the container's first process waits for no children, so that what a command leaves behind stays \
                        in the list of processes: give the app the Docker parameter 'init' with the value 'true'";

/// What an earlier agent of this directory, or an engine that answered too late, left running is looked for so often.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// The marks of what runs inside of containers now.
#[derive(Debug)]
pub(super) struct Inside {
    /// Begins each mark: this agent's, whichever of its processes gave it.
    agent: String,
    /// Begins the marks of this process.
    process: String,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    given: u64,
    marks: BTreeSet<String>,
    /// What exceeded its time and cannot be ended from here, by instance, container and command line: the engine's
    /// name for it.
    left: BTreeMap<(InstanceId, String, String), String>,
    /// What has ended inside of an instance and stays in the kernel's list.
    unreaped: BTreeMap<InstanceId, BTreeSet<processes::Name>>,
}

impl UnderWay {
    /// Takes note of what stays; of what has gone meanwhile nothing is kept.
    fn stays(&mut self, instance: InstanceId, unreaped: BTreeSet<processes::Name>) {
        self.unreaped.entry(instance).or_default().extend(unreaped);
        self.unreaped.retain(|_, it| {
            it.retain(|it| processes::is_unreaped(*it));
            !it.is_empty()
        });
    }
}

/// A mark that is under way as long as this lives.
struct Marked<'a> {
    inside: &'a Inside,
    mark: String,
}

impl Drop for Marked<'_> {
    fn drop(&mut self) {
        self.inside.lock().marks.remove(&self.mark);
    }
}

impl Inside {
    /// For the agent with this id, in this process.
    pub(super) fn new(agent: u64) -> Self {
        let began = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let agent = format!("{agent:016x}-");
        Self { process: format!("{agent}{:x}-{began:x}-", std::process::id()), agent, under_way: Mutex::default() }
    }

    fn mark(&self) -> Marked<'_> {
        let mut under_way = self.lock();
        under_way.given += 1;
        let mark = format!("{}{}", self.process, under_way.given);
        under_way.marks.insert(mark.clone());
        Marked { inside: self, mark }
    }

    /// Whether so much of an instance's stays in the kernel's list that no more may be run.
    fn has_no_room(&self, instance: InstanceId) -> bool {
        let mut under_way = self.lock();
        if under_way.unreaped.get(&instance).is_none_or(|it| it.len() < UNREAPED_MAX) {
            return false;
        }
        under_way.stays(instance, BTreeSet::new());
        under_way.unreaped.get(&instance).is_some_and(|it| it.len() >= UNREAPED_MAX)
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Docker {
    /// Runs a command line in a container; its exit code is the outcome. What the engine itself fails at says
    /// nothing about the instance. When this comes back, the command is gone with all that came of it.
    pub(crate) async fn run_inside(
        &self,
        instance: InstanceId,
        container: &str,
        command: &str,
        deadline: Duration,
    ) -> Outcome {
        let name = if container.is_empty() { instance.to_string() } else { member_name(instance, container) };
        let key = (instance, container.to_owned(), command.to_owned());
        let left = self.inner.inside.lock().left.get(&key).cloned();
        if let Some(exec) = left {
            let before = self.call("exec", READ_DEADLINE, |it| it.inspect_exec(&exec)).await;
            if before.is_ok_and(|it| it.running == Some(true)) {
                let message = "the command before has not ended yet, and cannot be ended from the agent's machine";
                return Outcome::Failure(message.to_owned());
            }
            self.inner.inside.lock().left.remove(&key);
        }
        if self.inner.inside.has_no_room(instance) {
            let message =
                format!("the command is not run any more: {UNREAPED_MAX} of its processes are left. {UNREAPED}");
            return Outcome::Failure(message);
        }
        let marked = self.inner.inside.mark();
        let shell = ["/bin/sh", "-c", command];
        let config = CreateExecOptions {
            cmd: Some(shell.iter().map(|it| (*it).to_owned()).collect()),
            env: Some(vec![format!("{}={}", processes::MARK, marked.mark)]),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let mut made = self.call("exec", READ_DEADLINE, |it| it.create_exec(&name, config.clone())).await;
        if matches!(made, Err(Error::Refused { status: 404, .. })) {
            // It may have another name by now.
            let Some(name) = self.name_of(instance, container).await else { return Outcome::Ignored };
            made = self.call("exec", READ_DEADLINE, |it| it.create_exec(&name, config)).await;
        }
        let Ok(exec) = made else { return Outcome::Ignored };
        let mut output = Vec::new();
        let ended = timeout(deadline, self.start_inside(&exec.id, &mut output)).await;
        let seen = self.call("exec", READ_DEADLINE, |it| it.inspect_exec(&exec.id)).await.ok();
        let pid = seen.as_ref().and_then(|it| i32::try_from(it.pid?).ok()).filter(|it| *it > 0);
        let mark = &marked.mark;
        let is_here = pid.is_none_or(|it| processes::carries(it, mark));
        let unreaped = match processes::end(|it| it == mark, pid).await {
            Ok(ended) => processes::unreaped(&ended).await,
            Err(n) => {
                tracing::warn!(%instance, command, processes = n, "what a command left inside of its container does not end");
                BTreeSet::new()
            }
        };
        let is_clean = unreaped.is_empty();
        if !is_clean {
            self.inner.inside.lock().stays(instance, unreaped);
        }
        let outcome = match ended {
            Ok(Ok(())) => match seen.and_then(|it| it.exit_code) {
                Some(0) => Outcome::Success,
                Some(code) => Outcome::Failure(told(code, &output)),
                None => Outcome::Ignored,
            },
            Ok(Err(Error::Refused { message, .. })) => Outcome::Failure(message),
            Ok(Err(Error::Away(_))) => Outcome::Ignored,
            Err(_) => {
                if !is_here {
                    self.inner.inside.lock().left.insert(key, exec.id);
                }
                let message = format!("the command did not end within {} ms", deadline.as_millis());
                Outcome::Failure(if is_clean { message } else { format!("{message}; {UNREAPED}") })
            }
        };
        drop(marked);
        outcome
    }

    /// Starts what was made and waits for its end; keeps the first of what it writes.
    async fn start_inside(&self, exec: &str, kept: &mut Vec<u8>) -> Result<(), Error> {
        if let StartExecResults::Attached { mut output, .. } = self.client()?.start_exec(exec, None).await? {
            while let Some(some) = output.next().await {
                let bytes = some.map(bollard::container::LogOutput::into_bytes).unwrap_or_default();
                let room = MAX_OUTPUT.saturating_sub(kept.len());
                kept.extend(bytes.iter().take(room));
            }
        }
        Ok(())
    }

    /// Ends what carries a mark of this agent's and is not under way, again and again, for ever.
    pub(crate) async fn tidy_inside(&self) {
        let inside = &self.inner.inside;
        loop {
            let under_way = inside.lock().marks.clone();
            let newest = inside.lock().given;
            // What was given a mark after this look is not looked at.
            let is_left = |mark: &str| {
                let given = mark.strip_prefix(&inside.process).and_then(|it| it.parse::<u64>().ok());
                mark.starts_with(&inside.agent)
                    && !under_way.contains(mark)
                    && given.is_none_or(|given| given <= newest)
            };
            match processes::end(is_left, None).await {
                Ok(ended) if ended.is_empty() => {}
                Ok(ended) => {
                    tracing::info!(processes = ended.len(), "ended what earlier checks had left inside of containers");
                }
                Err(n) => tracing::warn!(processes = n, "what earlier checks left inside of containers does not end"),
            }
            tokio::time::sleep(TIDY_EVERY).await;
        }
    }
}

/// What a command's exit code says; and, where there was nothing to run, what the engine says.
fn told(code: i64, output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let missing = text.contains("/bin/sh") && text.contains("no such file or directory");
    match code {
        126 | 127 if missing => {
            "its image has no /bin/sh, which a COMMAND check needs: use an HTTP or a TCP check".to_owned()
        }
        _ => format!("the command exited with code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_under_way_as_long_as_its_holder_lives() {
        let inside = Inside::new(7);
        let (first, second) = (inside.mark(), inside.mark());
        assert!(first.mark.starts_with("0000000000000007-") && first.mark != second.mark);
        drop(first);
        assert_eq!(inside.lock().marks.iter().collect::<Vec<_>>(), [&second.mark]);
    }

    #[test]
    fn an_image_without_a_shell_is_said_to_have_none() {
        let oci = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"/bin/sh\": stat \
                   /bin/sh: no such file or directory: unknown\r\n";
        assert!(told(126, oci.as_bytes()).contains("has no /bin/sh"));
        assert!(told(127, oci.as_bytes()).contains("has no /bin/sh"));
        assert_eq!(told(127, b"sh: nginx: not found"), "the command exited with code 127");
        assert_eq!(told(1, oci.as_bytes()), "the command exited with code 1");
    }
}
