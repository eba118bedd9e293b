//! What an agent may say about its instances: bounded, as what a user says is, and what it says about itself
//! ([`NodeDescription::objection`](crate::NodeDescription::objection)). The agent keeps to it; a member does not believe
//! that it does.

use super::{Observation, Seen};
use crate::model::{CheckResult, End, Evidence, HealthAnswer, InstanceId, LogLine, Readiness};
use std::net::IpAddr;
use std::sync::Arc;

/// The longest text for people in a report, in bytes: some lines of a failed command.
const TEXT_BYTES_MAX: usize = 2_048;

/// The longest other text in a report, in bytes.
const WORD_BYTES_MAX: usize = 256;

/// So many checks may have results for one instance; definitions have fewer.
const CHECKS_MAX: usize = 256;

/// So many observations a report may have, and so many reservations may be destroyed in it. Agents tell 1 000 at most.
const REPORT_MAX: usize = 4_000;

/// So many of the last lines of an instance that ended are told the cluster: a screenful.
const LINES_MAX: usize = 25;

/// Those lines have at most so many bytes together: evidence is in the log and in every snapshot.
const LINES_BYTES_MAX: usize = 4_096;

/// One of them has at most so many.
const LINE_BYTES_MAX: usize = 1_024;

/// How the body of a health check's answer begins: so many bytes.
const BODY_BYTES_MAX: usize = 1_024;

/// A text for people, as it may stand in a report.
pub fn bound_text(text: String) -> String {
    bound(text, TEXT_BYTES_MAX)
}

/// A report's content as it may enter the log.
///
/// # Errors
/// When there is more than any agent says at once.
pub fn bound_observations(
    mut observations: Vec<Observation>,
    destroyed: Vec<InstanceId>,
) -> Result<(Vec<Observation>, Vec<InstanceId>), usize> {
    let n = observations.len().max(destroyed.len());
    if n > REPORT_MAX {
        return Err(n);
    }
    observations.iter_mut().for_each(bound_observation);
    Ok((observations, destroyed))
}

/// An observation whose texts are bounded.
pub(super) fn bound_observation(observation: &mut Observation) {
    if let Some(trial) = &mut observation.trial {
        bound_in(trial, TEXT_BYTES_MAX);
    }
    if let Some(evidence) = &mut observation.evidence {
        bound_evidence(Arc::make_mut(evidence));
    }
    match &mut observation.seen {
        Seen::Staging { message } | Seen::Ended(End { message, .. }) => bound_in(message, TEXT_BYTES_MAX),
        Seen::Running { ip, health: _, checks, readiness } => {
            *ip = ip.take().filter(|it| it.parse::<IpAddr>().is_ok());
            checks.truncate(CHECKS_MAX);
            for CheckResult { last_failure_cause, .. } in checks {
                if let Some(cause) = last_failure_cause {
                    bound_in(cause, TEXT_BYTES_MAX);
                }
            }
            if let Readiness { response: Some(response), .. } = readiness {
                bound_in(&mut response.content_type, WORD_BYTES_MAX);
                bound_in(&mut response.body, TEXT_BYTES_MAX);
            }
        }
        Seen::Removed => {}
    }
}

/// Evidence as it may stand in a report: the last of its lines, as many as there may be.
pub(super) fn bound_evidence(evidence: &mut Evidence) {
    let Evidence { container, error, health, lines, missing, .. } = evidence;
    bound_in(container, WORD_BYTES_MAX);
    bound_in(error, TEXT_BYTES_MAX);
    bound_in(missing, TEXT_BYTES_MAX);
    if let Some(HealthAnswer { cause, body, .. }) = health {
        bound_in(cause, TEXT_BYTES_MAX);
        bound_in(body, BODY_BYTES_MAX);
    }
    let mut room = LINES_BYTES_MAX;
    let mut n = 0;
    for LogLine { at, text, .. } in lines.iter_mut().rev().take(LINES_MAX) {
        bound_in(at, WORD_BYTES_MAX);
        bound_in(text, LINE_BYTES_MAX);
        let Some(left) = room.checked_sub(text.len() + 1) else { break };
        (room, n) = (left, n + 1);
    }
    let more = lines.len() - n;
    lines.drain(..more);
    evidence.more_lines = evidence.more_lines.saturating_add(more as u32);
}

/// About how many bytes an observation has in a message.
pub(super) fn weight(observation: &Observation) -> usize {
    /// Names of fields, ids, numbers.
    const REST: usize = 200;
    let texts = match &observation.seen {
        Seen::Staging { message } | Seen::Ended(End { message, .. }) => message.len(),
        Seen::Running { checks, readiness, .. } => {
            let check = |it: &CheckResult| REST + it.last_failure_cause.as_ref().map_or(0, String::len);
            let response = readiness.response.as_ref().map_or(0, |it| it.body.len() + it.content_type.len());
            checks.iter().map(check).sum::<usize>() + response
        }
        Seen::Removed => 0,
    };
    let evidence = observation.evidence.as_ref().map_or(0, |it| {
        let lines: usize = it.lines.iter().map(|line| REST + line.text.len()).sum();
        REST + it.error.len() + lines + it.health.as_ref().map_or(0, |it| REST + it.cause.len() + it.body.len())
    });
    REST + texts + evidence + observation.trial.as_ref().map_or(0, String::len)
}

fn bound_in(text: &mut String, bytes_max: usize) {
    *text = bound(std::mem::take(text), bytes_max);
}

/// Cut where it is too long; what moves a terminal's cursor or colours it is taken out.
fn bound(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        const MORE: char = '…';
        text.truncate(text.floor_char_boundary(bytes_max.saturating_sub(MORE.len_utf8())));
        text.push(MORE);
    }
    let odd = |it: char| it.is_control() && it != '\n' && it != '\t';
    if text.contains(odd) { text.replace(odd, " ") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClusterId, EndKind, Health, ReadinessResponse, Timestamp};

    #[test]
    fn texts_of_reports_are_cut_and_move_no_cursor() {
        let instance = InstanceId::derive(ClusterId(1), 1, 1);
        let see = |seen| Observation {
            instance,
            judged_by: Timestamp(1),
            trial: Some("\x1b[31m".repeat(1_000)),
            seen,
            evidence: None,
        };
        let bad = "\x1b[31m".to_owned() + &"ä".repeat(1 << 20);
        let check = CheckResult {
            alive: false,
            forgiven: false,
            consecutive_failures: 1,
            first_success: None,
            last_success: None,
            last_failure: None,
            last_failure_cause: Some(bad.clone()),
        };
        let response = ReadinessResponse { status: 200, content_type: bad.clone(), body: bad.clone() };
        let running = Seen::Running {
            ip: Some(bad.clone()),
            health: Health::Healthy,
            checks: vec![check; 1_000],
            readiness: Readiness { ready: false, response: Some(Box::new(response)) },
        };
        let end = End { kind: EndKind::Finished, exit_code: None, message: bad.clone() };
        for seen in [Seen::Staging { message: bad }, Seen::Ended(end), running] {
            let (bounded, _) = bound_observations(vec![see(seen)], vec![]).unwrap();
            let printed = format!("{bounded:?}");
            assert!(printed.len() < CHECKS_MAX * (TEXT_BYTES_MAX + 300), "{} bytes", printed.len());
            assert!(weight(&bounded[0]) < CHECKS_MAX * (TEXT_BYTES_MAX + 300));
            assert!(!printed.contains("\\u{1b}"), "{bounded:?}");
        }
        let text = bound_text("two\nlines,\ta tab\r\x07".to_owned());
        assert_eq!(text, "two\nlines,\ta tab  ");
        assert!(bound_observations(vec![see(Seen::Removed); 5_000], vec![]).is_err());
        assert!(bound_observations(vec![], vec![instance; 5_000]).is_err());
    }
}
