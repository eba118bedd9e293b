//! Server-sent events, out of the bytes of a stream.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its type.
    pub(crate) name: String,
    /// Its place in the stream: the last id that was sent.
    pub(crate) id: Option<String>,
    /// What it says.
    pub(crate) data: String,
}

/// What has come of a stream and is no whole event yet.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    bytes: Vec<u8>,
    event: Event,
}

impl Reader {
    /// Takes what has come, and returns the events that are whole now.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.bytes.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.bytes.iter().position(|it| *it == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            events.extend(self.line(line.trim_end_matches(['\r', '\n'])));
        }
        events
    }

    /// Takes one line; an empty one ends an event, one that begins with a colon is a comment.
    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let next = Event { id: self.event.id.clone(), ..Event::default() };
            return Some(std::mem::replace(&mut self.event, next)).filter(|it| !it.data.is_empty());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let text =
            "\r\n: hello\r\nevent: a\r\nid: 1-0\r\ndata: {\"x\":\r\ndata: 1}\r\n\r\n\r\nevent: b\ndata:é\n\nevent: c\n";
        let event =
            |name: &str, data: &str| Event { name: name.to_owned(), id: Some("1-0".to_owned()), data: data.to_owned() };
        for step in 1..text.len() {
            let mut reader = Reader::default();
            let events: Vec<_> = text.as_bytes().chunks(step).flat_map(|it| reader.take(it)).collect();
            assert_eq!(events, [event("a", "{\"x\":\n1}"), event("b", "é")], "in pieces of {step}");
        }
    }
}
