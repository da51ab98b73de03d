//! Where commands write: a secret to standard output, everything else to standard error.

/// Prints a message for people to standard error.
#[expect(clippy::print_stderr, reason = "the output of a command")]
pub(super) fn print_status(text: &str) {
    eprintln!("{text}");
}

/// Prints a secret to standard output, which nothing else is written to, so that it can be piped.
#[expect(clippy::print_stdout, reason = "the only output on standard output")]
pub(super) fn print_secret(secret: &str) {
    println!("{secret}");
}
