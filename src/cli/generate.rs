//! `completion` and `man`: files that packages install, made from the definition of the command line.

use std::path::Path;

use clap_complete::Shell;

use super::error::CliError;
use super::output::print_result;

/// Name of the program in the generated files.
const PROGRAM: &str = "inkbox-imessage";

pub(super) fn completion(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::command(), PROGRAM, &mut script);
    print_result(&String::from_utf8_lossy(&script));
}

/// Writes a page for the program and for each of its commands into a folder.
pub(super) fn man(folder: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(super::command(), folder))
        .map_err(|error| CliError::Failed(format!("cannot write to {}: {error}", folder.display())))
}
