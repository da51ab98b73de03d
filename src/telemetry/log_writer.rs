//! Asynchronous log writer: `tracing-appender`'s thread writes the lines to standard error, so that a call waits neither
//! for a system call nor for the reader of the log.
//!
//! One write(2) per line, with a wake-up of the thread for each, was the most expensive system call of a cheap request.
//! Therefore the thread pauses for [`FLUSH_INTERVAL`] after each flush and then writes all lines of the pause at once.
//! Measured on 2 cores, CPU time per line including the thread: 25 µs at 2,000 lines a second, 35 µs without the pause; a
//! get takes about 110 µs.
//!
//! The queue is bounded. Lines that find it full are dropped, and a log line reports their number. A process that is
//! killed loses the lines in the queue; a regular end writes them.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::LogFormat;

/// Pause between two writes. Too short to be noticed by a reader; at a thousand lines a second, five share a write.
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);
/// Maximum number of queued lines: about 8 MiB, and some seconds of a busy service, so that a disk that stalls for a
/// moment loses no line.
const MAX_QUEUED_LINES: usize = 16_384;
/// Size of a write, in bytes.
const MAX_BATCH_BYTES: usize = 64 << 10;

/// Starts the thread, which reports dropped lines in the format of the log. Dropping the guard writes the queued lines, for at
/// most 1.1 s if nothing reads them.
pub(super) fn start(format: LogFormat, sink: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    let dropped = Arc::new(OnceLock::new());
    let sink = BatchWriter {
        sink: BufWriter::with_capacity(MAX_BATCH_BYTES, sink),
        format,
        dropped: dropped.clone(),
        reported: 0,
    };
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(MAX_QUEUED_LINES)
        .thread_name("log")
        .finish(sink);
    // The counter exists only when the thread does.
    let _ = dropped.set(writer.error_counter());
    (writer, guard)
}

/// Collects lines into large writes. The thread calls `flush` each time it has emptied the queue.
struct BatchWriter<W: Write> {
    sink: BufWriter<W>,
    format: LogFormat,
    dropped: Arc<OnceLock<ErrorCounter>>,
    /// Number of dropped lines that the log already mentions.
    reported: usize,
}

impl<W: Write> Write for BatchWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.sink.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        let dropped = self.dropped.get().map_or(0, ErrorCounter::dropped_lines);
        if dropped > self.reported {
            let lines = dropped - self.reported;
            self.reported = dropped;
            let report = format!("{lines} log lines were dropped: the reader of standard error is too slow");
            writeln!(self.sink, "{}", self.format.line("WARN", &report))?;
        }
        let flushed = self.sink.flush();
        thread::sleep(FLUSH_INTERVAL);
        flushed
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::{LogFormat, MAX_QUEUED_LINES, start};

    /// Keeps what is written, one entry per write.
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

    /// Reports that it was called, and blocks until its test drops the other end.
    struct Gated(Sink, mpsc::Sender<()>, mpsc::Receiver<()>);

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.1.send(());
            let _ = self.2.recv();
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_in_order_before_the_end_and_lines_share_a_write() {
        let sink = Sink::default();
        let (mut writer, guard) = start(LogFormat::Text, sink.clone());
        let mut expected = String::new();
        for number in 0..1_000 {
            let line = format!("line {number}\n");
            writer.write_all(line.as_bytes()).expect("a line");
            expected.push_str(&line);
        }
        drop(guard);
        let chunks = sink.0.lock().expect("no panic").clone();
        assert_eq!(chunks.concat(), expected);
        assert!(chunks.len() < 500, "{} chunks for a thousand lines", chunks.len());
    }

    #[test]
    fn a_writer_does_not_wait_for_a_stalled_reader_and_the_log_reports_the_dropped_lines() {
        let sink = Sink::default();
        let (called, is_called) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let (mut writer, guard) = start(LogFormat::Text, Gated(sink.clone(), called, released));
        writer.write_all(b"first\n").expect("a line");
        is_called.recv_timeout(Duration::from_secs(5)).expect("the first write");
        for _ in 0..MAX_QUEUED_LINES + 7 {
            writer.write_all(b"x\n").expect("never an error");
        }
        assert_eq!(writer.error_counter().dropped_lines(), 7);

        drop(release);
        drop(guard);
        let written = sink.0.lock().expect("no panic").concat();
        let report = "7 log lines were dropped: the reader of standard error is too slow\n";
        assert_eq!(written, format!("first\n{}{report}", "x\n".repeat(MAX_QUEUED_LINES)));
    }

    #[test]
    fn the_end_does_not_wait_for_ever_for_a_stalled_reader() {
        let (called, is_called) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let (mut writer, guard) = start(LogFormat::Text, Gated(Sink::default(), called, released));
        writer.write_all(b"first\n").expect("a line");
        is_called.recv_timeout(Duration::from_secs(5)).expect("the first write");
        let begun = Instant::now();
        drop(guard);
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        drop(release);
    }
}
