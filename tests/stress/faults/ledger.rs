//! The outcome of each call, as its caller sees it, and how often each outcome occurred.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What the response says about the requested change.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    Done(T),
    /// Not done, with the reason.
    Refused(String),
    /// Done or not done: the response does not tell.
    Unknown,
}

/// Reasons with which the change may or may not have been made.
const UNDECIDED: [&str; 4] =
    ["STORAGE_UNAVAILABLE", "DEADLINE_EXCEEDED", "OVERLOADED", "IDEMPOTENCY_IN_PROGRESS"];
/// Codes of the gRPC client, which come without a reason.
const CLIENT_CODES: [Code; 5] =
    [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::DeadlineExceeded, Code::Internal];

/// Number of outcomes of each kind, by RPC.
#[derive(Default)]
pub(crate) struct Tally {
    counts: Mutex<BTreeMap<&'static str, [u64; 3]>>,
}

impl Tally {
    /// Classifies and counts a response. A fault must not look like a defect of the service or the caller.
    #[track_caller]
    pub(crate) fn record<T: fmt::Debug>(&self, call: &'static str, answer: Result<T, Status>) -> Outcome<T> {
        let outcome = match answer {
            Ok(answer) => Outcome::Done(answer),
            Err(status) => match status.get_details_error_info() {
                Some(info) if UNDECIDED.contains(&&*info.reason) => Outcome::Unknown,
                Some(info) => {
                    let never = ["INTERNAL", "API_KEY_INVALID", "INVALID_ARGUMENT"];
                    assert!(!never.contains(&&*info.reason), "{call}: {status:?}");
                    Outcome::Refused(info.reason)
                }
                None => {
                    assert!(CLIENT_CODES.contains(&status.code()), "{call}: {status:?}");
                    Outcome::Unknown
                }
            },
        };
        let at = match outcome {
            Outcome::Done(_) => 0,
            Outcome::Refused(_) => 1,
            Outcome::Unknown => 2,
        };
        self.counts.lock().unwrap().entry(call).or_default()[at] += 1;
        outcome
    }

    /// Number of calls that were done so far.
    pub(crate) fn done(&self) -> u64 {
        self.counts.lock().unwrap().values().map(|[done, ..]| done).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts.lock().unwrap();
        let sum =
            counts.values().fold([0; 3], |sum: [u64; 3], row| std::array::from_fn(|at| sum[at] + row[at]));
        for (call, [done, refused, unknown]) in
            counts.iter().map(|(call, row)| (*call, *row)).chain([("all", sum)])
        {
            writeln!(f, "  {call:<18} done {done:>8}  refused {refused:>7}  unknown {unknown:>7}")?;
        }
        Ok(())
    }
}
