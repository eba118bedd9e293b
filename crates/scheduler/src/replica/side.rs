//! Work that would hold the replica's thread up: encoding and writing snapshots, filling segments with zeros.

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Instant;

use super::Event;
use crate::log::{Disk, Preparation, SnapshotFile, write_snapshot};
use crate::machine::Machine;
use crate::member::Chore;
use api::causes::with_causes;

/// The thread for it. Ends with the replica.
pub(super) struct Side<M: Machine> {
    work: mpsc::Sender<Work<M>>,
}

enum Work<M: Machine> {
    Snapshot(Chore<M>, u64),
    Prepare(Preparation),
}

impl<M: Machine> Side<M> {
    pub(super) fn start(disk: Arc<dyn Disk>, inbox: &SyncSender<Event<M>>) -> Self {
        let (work, todo) = mpsc::channel();
        let inbox = inbox.clone();
        thread::Builder::new()
            .name("replica-side".to_owned())
            .spawn(move || {
                for work in todo {
                    let event = match work {
                        Work::Snapshot(chore, next_frame) => Event::Snapshotted(snapshot(&*disk, chore, next_frame)),
                        Work::Prepare(preparation) => Event::Prepared(prepare(preparation)),
                    };
                    if inbox.send(event).is_err() {
                        return;
                    }
                }
            })
            .expect("the system lets us have threads");
        Self { work }
    }

    pub(super) fn snapshot(&self, chore: Chore<M>, next_frame: u64) {
        // The thread lives as long as the replica.
        let _ = self.work.send(Work::Snapshot(chore, next_frame));
    }

    pub(super) fn prepare(&self, preparation: Preparation) {
        let _ = self.work.send(Work::Prepare(preparation));
    }
}

/// A snapshot that cannot be written costs disk, not safety: the log is kept, and the next one is tried later.
fn snapshot<M: Machine>(disk: &dyn Disk, chore: Chore<M>, next_frame: u64) -> Option<SnapshotFile> {
    let began = Instant::now();
    let file = chore.run(next_frame);
    if let Err(error) = write_snapshot(disk, &file) {
        tracing::error!(error = with_causes(&error), "cannot write a snapshot");
        return None;
    }
    let took_ms = began.elapsed().as_millis() as u64;
    tracing::info!(index = file.mark.index, bytes = file.data.len(), took_ms, "wrote a snapshot");
    Some(file)
}

fn prepare(preparation: Preparation) -> Option<crate::log::Spare> {
    preparation
        .run()
        .inspect_err(|error| {
            let error = with_causes(error);
            tracing::error!(error, "cannot prepare the log's next segment; the disk may be full");
        })
        .ok()
}
