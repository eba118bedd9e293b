//! Bytes that nobody should send: whatever comes, a connection ends or goes on, and costs no more than it may.

use std::collections::VecDeque;

use raft::eraftpb::{Entry, Message, MessageType};

use super::wire::{self, Assembly, Came, FRAME_BYTES_MAX};
use crate::member::Reading;

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

/// One frame of each kind, as members send them.
fn frames() -> Vec<Vec<u8>> {
    let entry = Entry { index: 7, term: 3, data: vec![1; 30].into(), ..Entry::default() };
    let append =
        Message { msg_type: MessageType::MsgAppend, entries: vec![entry; 3].into(), term: 3, ..Message::default() };
    let mut snapshot = Message { msg_type: MessageType::MsgSnapshot, ..Message::default() };
    snapshot.mut_snapshot().data = vec![9; 100].into();
    let mut frames = vec![Vec::new(); 4];
    wire::put_messages(&mut frames[0], &mut VecDeque::from([append.clone(), append]));
    let data = wire::put_snapshot(&mut frames[1], snapshot);
    wire::put_part(&mut frames[2], &data[..50]);
    wire::put_clock(&mut frames[3], Reading::default());
    frames
}

#[test]
fn no_bytes_end_a_process_or_take_more_memory_than_they_are() {
    let mut rng = Rng(0x9E37_79B9_7F4A_7C15);
    for _ in 0..3_000 {
        let mut bytes: Vec<u8> = (0..6).flat_map(|_| frames()[rng.below(4)].clone()).collect();
        for _ in 0..rng.below(6) {
            let at = rng.below(bytes.len());
            match rng.below(4) {
                0 => bytes[at] = rng.below(256) as u8,
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, [0, 0x7f, 0xff][rng.below(3)]),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        let mut from = &bytes[..];
        let mut assembly = Assembly::default();
        while let Ok(frame) = wire::read_frame(&mut from) {
            assert!(frame.capacity() <= 2 * bytes.len().max(1 << 20));
            match assembly.take(&frame) {
                Ok(Came::Messages(messages)) => assert!(messages.len() <= frame.len()),
                Ok(Came::Clock(_)) => {}
                Err(_) => break,
            }
        }
    }
}

fn content(frame: &[u8]) -> &[u8] {
    &frame[4..]
}

#[test]
fn a_snapshot_has_an_end() {
    let mut head = Vec::new();
    let mut snapshot = Message { msg_type: MessageType::MsgSnapshot, ..Message::default() };
    snapshot.mut_snapshot().data = vec![0; 10].into();
    wire::put_snapshot(&mut head, snapshot.clone());
    // More than any snapshot has.
    let mut endless = content(&head).to_vec();
    endless[1..9].copy_from_slice(&u64::MAX.to_be_bytes());
    assert!(Assembly::default().take(&endless).is_err());
    // More than was said, and nothing at all again and again.
    for part in [&[0; 11][..], &[]] {
        let mut assembly = Assembly::default();
        assembly.take(content(&head)).unwrap();
        let mut frame = Vec::new();
        wire::put_part(&mut frame, part);
        assert!(assembly.take(content(&frame)).is_err());
    }
    // Another message under the head of a snapshot.
    let mut other = Vec::new();
    snapshot.set_msg_type(MessageType::MsgAppend);
    wire::put_snapshot(&mut other, snapshot);
    assert!(Assembly::default().take(content(&other)).is_err());
}

#[test]
fn many_empty_things_in_one_frame_are_refused() {
    // Behind the kind, which is 0 too, four zeros are an empty message.
    let empty = vec![0; 1 + 4 * 5_000];
    assert!(Assembly::default().take(&empty).is_err());
    // Two bytes are an empty entry.
    let entries = [0x3a, 0].repeat(70_000);
    let frame = [&[0][..], &(entries.len() as u32).to_be_bytes(), &entries].concat();
    assert!(Assembly::default().take(&frame).is_err());
}

#[test]
fn what_is_queued_at_once_goes_in_frames_that_are_taken() {
    let entry = Entry { data: vec![1; 1 << 20].into(), ..Entry::default() };
    let message = Message { msg_type: MessageType::MsgAppend, entries: vec![entry].into(), ..Message::default() };
    let mut messages: VecDeque<_> = std::iter::repeat_n(message, 40).collect();
    let (mut assembly, mut arrived) = (Assembly::default(), 0);
    while !messages.is_empty() {
        let mut bytes = Vec::new();
        wire::put_messages(&mut bytes, &mut messages);
        assert!(bytes.len() < FRAME_BYTES_MAX / 4);
        let Came::Messages(messages) = assembly.take(content(&bytes)).unwrap() else { panic!("messages") };
        arrived += messages.len();
    }
    assert_eq!(arrived, 40);
}
