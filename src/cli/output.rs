//! Where commands write: secrets, lists and generated files to standard output, everything else to standard error.

use std::io::Write as _;

use crate::config::requested_log_format;
use crate::telemetry::LogFormat;

/// Prints a message for people to standard error.
#[expect(clippy::print_stderr, reason = "the output of a command")]
pub(super) fn print_status(text: &str) {
    eprintln!("{text}");
}

/// Prints the error that ends the process, in the format of the log, so that a log collector can read it.
pub(super) fn print_error(text: &str) {
    let format = requested_log_format();
    let prefix = if format == LogFormat::Text { "error: " } else { "" };
    print_status(&format.line("ERROR", &format!("{prefix}{text}")));
}

/// Prints a secret to standard output, which no message is written to, so that it can be piped.
#[expect(clippy::print_stdout, reason = "the result of a command")]
pub(super) fn print_secret(secret: &str) {
    println!("{secret}");
}

/// Prints what a command was asked for to standard output. A reader that has seen enough, such as `head`, closes it.
pub(super) fn print_result(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
