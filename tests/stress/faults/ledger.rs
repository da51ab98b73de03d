//! What callers are told, and how often.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What an answer says about what was asked for.
#[derive(Debug)]
pub(crate) enum Told<T> {
    /// It is done.
    Done(T),
    /// It was not done, for this reason.
    Refused(String),
    /// It may have been done, or not.
    Unknown,
}

/// Reasons that leave it open whether something was done.
const OPEN: [&str; 4] = ["STORAGE_UNAVAILABLE", "DEADLINE_EXCEEDED", "OVERLOADED", "IDEMPOTENCY_IN_PROGRESS"];
/// Codes of the transport's own, without a reason.
const OF_TRANSPORT: [Code; 5] =
    [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::DeadlineExceeded, Code::Internal];

/// How many answers there were of each kind, by call.
#[derive(Default)]
pub(crate) struct Tally {
    counts: Mutex<BTreeMap<&'static str, [u64; 3]>>,
}

impl Tally {
    /// Takes an answer in. No fault may be answered as a defect of ours.
    #[track_caller]
    pub(crate) fn told<T: fmt::Debug>(&self, call: &'static str, answer: Result<T, Status>) -> Told<T> {
        let told = match answer {
            Ok(answer) => Told::Done(answer),
            Err(status) => match status.get_details_error_info() {
                Some(info) if OPEN.contains(&&*info.reason) => Told::Unknown,
                Some(info) => {
                    let never = ["INTERNAL", "API_KEY_INVALID", "INVALID_ARGUMENT"];
                    assert!(!never.contains(&&*info.reason), "{call}: {status:?}");
                    Told::Refused(info.reason)
                }
                None => {
                    assert!(OF_TRANSPORT.contains(&status.code()), "{call}: {status:?}");
                    Told::Unknown
                }
            },
        };
        let at = match told {
            Told::Done(_) => 0,
            Told::Refused(_) => 1,
            Told::Unknown => 2,
        };
        self.counts.lock().unwrap().entry(call).or_default()[at] += 1;
        told
    }

    /// Answers that something was done, so far.
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
