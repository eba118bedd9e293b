//! Messages of a size that travels.
//!
//! raft puts what a member lacks into one message, however much that is; the wire takes no message that large, and a
//! member that is far behind would be sent the same again and again. So an append goes in parts, each of which its
//! receiver takes for a whole one.

use std::mem;

use raft::eraftpb::{Entry, Message, MessageType};

/// Bytes of an entry in a message beside context and data, at most.
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// An append has no more entries, however small they are: the wire does not take more.
const ENTRIES_MAX: usize = 1 << 15;

/// About what an entry takes in a message.
pub(super) fn entry_bytes(entry: &Entry) -> usize {
    entry.data.len() + entry.context.len() + ENTRY_OVERHEAD
}

/// Returns the messages with each append split into such of at most `bytes_max` of entries, or one entry.
pub(super) fn split(messages: Vec<Message>, bytes_max: usize) -> Vec<Message> {
    if messages.iter().all(|it| fits(it, bytes_max)) {
        return messages;
    }
    let mut parts = Vec::new();
    for message in messages {
        if fits(&message, bytes_max) {
            parts.push(message);
        } else {
            split_append(message, bytes_max, &mut parts);
        }
    }
    parts
}

fn fits(message: &Message, bytes_max: usize) -> bool {
    let entries = message.get_entries();
    message.get_msg_type() != MessageType::MsgAppend
        || entries.len() < 2
        || (entries.len() <= ENTRIES_MAX && entries.iter().map(entry_bytes).sum::<usize>() <= bytes_max)
}

fn split_append(mut whole: Message, bytes_max: usize, parts: &mut Vec<Message>) {
    let entries = whole.take_entries();
    // Each part follows the one before.
    let (mut index, mut log_term) = (whole.index, whole.log_term);
    let mut part = Vec::new();
    let mut bytes = 0;
    let mut close = |part: &mut Vec<Entry>| {
        let Some((last_index, last_term)) = part.last().map(|it| (it.index, it.term)) else { return };
        let mut message = Message { index, log_term, ..whole.clone() };
        message.set_entries(mem::take(part).into());
        parts.push(message);
        (index, log_term) = (last_index, last_term);
    };
    for entry in entries {
        let more = entry_bytes(&entry);
        if bytes + more > bytes_max || part.len() == ENTRIES_MAX {
            close(&mut part);
            bytes = 0;
        }
        bytes += more;
        part.push(entry);
    }
    close(&mut part);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(index: u64, sizes: &[usize]) -> Message {
        let entries = sizes.iter().zip(index + 1..).map(|(size, index)| Entry {
            index,
            term: index / 3 + 1,
            data: vec![7; *size].into(),
            ..Entry::default()
        });
        let entries: Vec<_> = entries.collect();
        Message {
            msg_type: MessageType::MsgAppend,
            index,
            log_term: index / 3 + 1,
            commit: 9,
            term: 99,
            to: 2,
            entries: entries.into(),
            ..Message::default()
        }
    }

    #[test]
    fn an_append_goes_in_parts_that_follow_each_other() {
        let whole = append(10, &[40, 40, 1_000, 40, 40, 0, 40]);
        let heartbeat = Message { msg_type: MessageType::MsgHeartbeat, ..Message::default() };
        let parts = split(vec![heartbeat.clone(), whole.clone(), append(17, &[1])], 150);
        assert_eq!(parts.first(), Some(&heartbeat));
        assert_eq!(parts.last(), Some(&append(17, &[1])));
        let parts = &parts[1..parts.len() - 1];
        let sizes: Vec<Vec<usize>> =
            parts.iter().map(|it| it.get_entries().iter().map(|it| it.data.len()).collect()).collect();
        assert_eq!(sizes, [vec![40, 40], vec![1_000], vec![40, 40], vec![0, 40]]);
        let mut entries = Vec::new();
        for part in parts {
            let before = entries.last().map_or((10, 10 / 3 + 1), |it: &Entry| (it.index, it.term));
            assert_eq!((part.index, part.log_term), before);
            assert_eq!((part.commit, part.term, part.to), (9, 99, 2));
            entries.extend(part.get_entries().to_vec());
        }
        assert_eq!(entries, whole.get_entries());
    }

    #[test]
    fn many_small_entries_are_split_too() {
        let parts = split(vec![append(0, &vec![0; ENTRIES_MAX + 1])], usize::MAX);
        assert_eq!(parts.iter().map(|it| it.get_entries().len()).collect::<Vec<_>>(), [ENTRIES_MAX, 1]);
    }
}
