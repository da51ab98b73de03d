//! The way of log lines to standard error: they are put together in memory and written by a thread of their own, some
//! milliseconds' worth at once.
//!
//! A write a line was the dearest system call of a cheap call, and made every call wait for whoever reads the log; a
//! reader that stops reading would have stopped the service. What waits here has a bound, and lines beyond it are dropped
//! and told of later. Lines that are waiting when the process is killed are lost; those of its orderly end are not.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long lines are put together before they are written: nobody who reads along sees it, and at a thousand lines a
/// second five share a write.
const PUT_TOGETHER: Duration = Duration::from_millis(5);
/// Bytes of lines that wait at most, some seconds of a busy service. A disk that pauses loses no line.
const MOST_WAITING: usize = 4 << 20;
/// How long the last lines may take when the process ends, should nobody read them.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Takes log lines. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines that found no room since the last write.
    dropped: u64,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that writes. Dropped, it writes what is waiting and ends.
#[derive(Debug)]
pub(super) struct Writing {
    shared: Arc<Shared>,
    ended: mpsc::Receiver<()>,
}

/// Starts to write to `sink`.
///
/// # Errors
/// The system's, where it has no thread left.
pub(super) fn start(sink: impl Write + Send + 'static) -> io::Result<(Lines, Writing)> {
    let shared = Arc::new(Shared::default());
    let (end, ended) = mpsc::channel();
    let of_thread = shared.clone();
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        write(&of_thread, sink);
        // Nobody waits for it any more where that took too long.
        let _ = end.send(());
    })?;
    Ok((Lines { shared: shared.clone() }, Writing { shared, ended }))
}

fn write(shared: &Shared, mut sink: impl Write) {
    let mut batch = Vec::new();
    loop {
        let nothing_new = |state: &mut State| state.waiting.is_empty() && !state.ended;
        let state = shared.changed.wait_while(shared.state(), nothing_new);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let together = shared.changed.wait_timeout_while(state, PUT_TOGETHER, |state| !state.ended);
        let (mut state, _) = together.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut batch, &mut state.waiting);
        let (dropped, ended) = (std::mem::take(&mut state.dropped), state.ended);
        drop(state);
        // Nowhere is left to tell of a standard error that takes nothing.
        let _ = sink.write_all(&batch);
        if dropped > 0 {
            let _ = writeln!(sink, "{dropped} log lines were dropped: standard error took too little");
        }
        let _ = sink.flush();
        batch.clear();
        if ended {
            return;
        }
    }
}

impl Write for Lines {
    /// Takes a line, as a whole or not at all.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.shared.state();
        if state.waiting.len() + line.len() > MOST_WAITING {
            state.dropped += 1;
            return Ok(line.len());
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.shared.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.changed.notify_one();
        // Over when the thread has ended, or when nobody reads.
        let _ = self.ended.recv_timeout(LAST_WRITE);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::{LAST_WRITE, MOST_WAITING, start};

    /// Keeps what is written, one entry a write.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<String>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").push(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Says that it was called, and then takes nothing for as long as its test holds the other end.
    struct Stuck(mpsc::Sender<()>, mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(());
            let _ = self.1.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_in_its_order_before_the_end() {
        let sink = Sink::default();
        let (mut lines, writing) = start(sink.clone()).expect("a thread");
        let mut expected = String::new();
        for number in 0..1_000 {
            let line = format!("line {number}\n");
            lines.write_all(line.as_bytes()).expect("a line");
            expected.push_str(&line);
        }
        drop(writing);
        let writes = sink.0.lock().expect("no panic").clone();
        assert_eq!(writes.concat(), expected);
        assert!(writes.len() < 500, "{} writes for a thousand lines", writes.len());
    }

    #[test]
    fn nobody_waits_for_a_reader_that_stopped_and_dropped_lines_are_counted() {
        let (called, is_called) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let (mut lines, writing) = start(Stuck(called, released)).expect("a thread");
        lines.write_all(b"first\n").expect("a line");
        is_called.recv_timeout(Duration::from_secs(5)).expect("the first write");

        let line = [b'x'; 1 << 10];
        for _ in 0..MOST_WAITING / line.len() + 7 {
            lines.write_all(&line).expect("never an error");
        }
        let state = lines.shared.state();
        assert_eq!((state.waiting.len(), state.dropped), (MOST_WAITING, 7));
        drop(state);

        let begun = Instant::now();
        drop(writing);
        assert!((LAST_WRITE..LAST_WRITE * 3).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        drop(release);
    }

    #[test]
    fn a_reader_that_comes_back_is_told_how_many_lines_it_missed() {
        let sink = Sink::default();
        let (mut lines, writing) = start(sink.clone()).expect("a thread");
        let mut state = lines.shared.state();
        state.dropped = 3;
        drop(state);
        lines.write_all(b"next\n").expect("a line");
        drop(writing);
        let written = sink.0.lock().expect("no panic").concat();
        assert_eq!(written, "next\n3 log lines were dropped: standard error took too little\n");
    }
}
