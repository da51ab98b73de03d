//! Third-party servers for tests. They run under an account other than root and end with the test.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{User, geteuid};

/// The time limit for the end of a server.
const ENDED: Duration = Duration::from_secs(15);
/// Runs `"$@"` until it ends. When the pipe on standard input closes, which happens however the test ends, it sends signal
/// `$1`. Shells start background commands with INT ignored; a server resets that when it is ready.
const SUPERVISE: &str = r#"signal=$1; shift; exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{ read -r line <&3; kill -s "${line:-$signal}" "$server"; } >/dev/null 2>&1 &
watcher=$!
wait "$server"; status=$?
kill "$watcher" 2>/dev/null
exit "$status""#;

pub struct Running {
    child: Child,
}

impl Running {
    /// Starts a program, which `signal` stops at the end of the test. Its output goes to a file.
    pub fn start(signal: &str, program: &Path, arguments: &[String], log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SUPERVISE, "sh", signal]).arg(program).args(arguments);
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        Self { child: unprivileged(&mut command).spawn().unwrap() }
    }

    /// Sends a signal and waits for the end.
    pub fn stop(&mut self, signal: &str) {
        use std::io::Write as _;
        if let Some(mut lifeline) = self.child.stdin.take() {
            let _ = writeln!(lifeline, "{signal}");
        }
        self.until_ended();
    }

    pub fn until_ended(&mut self) {
        let give_up = Instant::now() + ENDED;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < give_up, "no end of {:?}", self.child);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    /// Waits for the end, because the server's folder is removed next.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let give_up = Instant::now() + ENDED;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Sends a signal to a process, which may have ended already.
pub fn signal(signal: &str, pid: &str) {
    let _ = Command::new("kill").args([signal, pid]).output().unwrap();
}

/// The child processes of a process.
pub fn children(of: &str) -> Vec<String> {
    let processes = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().unwrap().stdout;
    let processes = String::from_utf8(processes).unwrap();
    let pairs = processes.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
    pairs.filter(|(_, parent)| parent.trim() == of).map(|(pid, _)| pid.to_owned()).collect()
}

/// Runs a program and asserts that it succeeds.
#[track_caller]
pub fn run(program: &Path, arguments: &[&str]) {
    let mut command = Command::new(program);
    let output = unprivileged(command.args(arguments)).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A temporary folder owned by the servers' account. It is in /tmp, because the path of a socket must be short.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    give(folder.path());
    folder
}

/// Makes the servers' account the owner of a file.
pub fn give(path: &Path) {
    if geteuid().is_root() {
        let account = account();
        chown(path, Some(account.uid.as_raw()), Some(account.gid.as_raw())).unwrap();
    }
}

/// Finds a program in one of these folders or in PATH.
pub fn find(name: &str, folders: &[PathBuf], remedy: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = folders.iter().cloned().chain(std::env::split_paths(&path)).map(|dir| dir.join(name));
    found.into_iter().find(|program| program.exists()).unwrap_or_else(|| panic!("no {name}: {remedy}"))
}

fn account() -> User {
    let named = |name| User::from_name(name).unwrap();
    named("postgres").or_else(|| named("nobody")).expect("an account that is not root")
}

/// Sets another account if this is root, because PostgreSQL and PgBouncer refuse to run as root, and clears the environment,
/// because `PG…` variables change their behaviour.
fn unprivileged(command: &mut Command) -> &mut Command {
    command.current_dir("/").env_clear().env("LC_ALL", "C");
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    if geteuid().is_root() {
        let account = account();
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command
}
