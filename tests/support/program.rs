//! The program as a process: a command that ends, or the running service.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::callers::Caller;
use super::{PATIENCE, eventually};

/// The program with these arguments and this data folder, without the settings in the environment of the test.
pub fn command(folder: &impl AsRef<Path>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inkbox-imessage"));
    let ours =
        |name: &str| name.starts_with("INKBOX_") || name.starts_with("OTEL_") || name == "DATABASE_URL";
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command.args(arguments).env("INKBOX_DATA_DIR", folder.as_ref()).env("INKBOX_LISTEN", "127.0.0.1:0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs the program and waits for its end.
pub async fn run(folder: &impl AsRef<Path>, arguments: &[&str]) -> Ended {
    finish(command(folder, arguments)).await
}

/// Runs a prepared command and waits for its end.
pub async fn finish(mut command: Command) -> Ended {
    let command_line = format!("{:?}", command.as_std());
    let ended = timeout(PATIENCE, command.output()).await;
    let Output { status, stdout, stderr } =
        ended.unwrap_or_else(|_| panic!("no end of {command_line}")).unwrap();
    Ended {
        command_line,
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

#[derive(Debug)]
pub struct Ended {
    /// For the messages of assertions.
    command_line: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts exit code 0; returns the standard output.
    #[track_caller]
    pub fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{}: {self:?}", self.command_line);
        self.stdout
    }

    /// Asserts this exit code, an empty standard output, and one line on standard error that contains these words.
    #[track_caller]
    pub fn failed(self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "{}: {self:?}", self.command_line);
        assert_eq!(self.stdout, "", "{}: {self:?}", self.command_line);
        assert_eq!(self.stderr.lines().count(), 1, "{}: {self:?}", self.command_line);
        assert!(self.stderr.contains(words), "no {words:?} from {}: {self:?}", self.command_line);
    }

    /// Asserts exit code 0 and a secret as the only line on standard output; it must not be on standard error.
    #[track_caller]
    pub fn secret(self) -> String {
        assert_eq!(self.code, Some(0), "{}: {self:?}", self.command_line);
        let secret = self.stdout.strip_suffix('\n').expect("a line");
        assert!(
            secret.len() >= 43 && secret.chars().all(|c| c.is_ascii_graphic()),
            "{}: {self:?}",
            self.command_line
        );
        assert!(!self.stderr.contains(secret), "{}: {self:?}", self.command_line);
        secret.to_owned()
    }
}

/// Sends a signal to a process.
pub fn signal(signal: &str, pid: &str) {
    let done = std::process::Command::new("kill").args([signal, pid]).status().unwrap();
    assert!(done.success(), "kill {signal} {pid}");
}

/// A running service. It is killed when dropped.
pub struct Service {
    child: Child,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    pub address: SocketAddr,
}

impl Service {
    /// Starts `serve` with these arguments and waits until it is SERVING.
    pub async fn start(folder: &impl AsRef<Path>, arguments: &[&str]) -> Self {
        let arguments = [&["serve"], arguments].concat();
        Self::spawn(command(folder, &arguments)).await
    }

    /// Starts a prepared `serve` command and waits until it is SERVING.
    pub async fn spawn(command: Command) -> Self {
        let service = Self::launch(command).await;
        service.until_health_is(Some("SERVING")).await;
        service
    }

    /// Starts a prepared `serve` command and waits until it listens.
    pub async fn launch(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            tokio::spawn(collect(child.stdout.take().unwrap(), output.clone())),
            tokio::spawn(collect(child.stderr.take().unwrap(), output.clone())),
        ];
        let address = eventually("the service says where it listens", async || {
            let text = output.lock().unwrap().clone();
            let at = text.split_once("listen=").or_else(|| text.split_once("\"listen\":\""))?.1;
            at.split(|c: char| c.is_whitespace() || c == '"').next()?.parse().ok()
        });
        let address = address.await;
        Self { child, output, readers, address }
    }

    /// The standard output and error so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().timeout(PATIENCE).connect_lazy()
    }

    pub fn caller(&self, secret: &str) -> Caller {
        Caller::new(self.channel(), Some(secret.to_owned()))
    }

    pub async fn until_health_is(&self, status: Option<&str>) {
        let channel = self.channel();
        eventually("health says so", async || {
            let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
            let said = answer.ok().map(|answer| answer.into_inner().status().as_str_name());
            (said == status).then_some(())
        })
        .await;
    }

    pub fn signal(&self, signal: &str) {
        self::signal(signal, &self.pid().to_string());
    }

    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits for the end; returns the exit status and all output.
    pub async fn ended(self) -> (ExitStatus, String) {
        self.ended_within(PATIENCE).await
    }

    pub async fn ended_within(mut self, time: Duration) -> (ExitStatus, String) {
        let status = timeout(time, self.child.wait()).await.expect("a service that ends").unwrap();
        for reader in self.readers.drain(..) {
            reader.await.unwrap();
        }
        let output = self.output();
        (status, output)
    }

    /// Stops the service with SIGTERM and asserts exit code 0; returns all output.
    pub async fn stop(self) -> String {
        self.signal("-TERM");
        let (status, output) = self.ended().await;
        assert_eq!(status.code(), Some(0), "{output}");
        output
    }
}

async fn collect(from: impl AsyncRead + Unpin, output: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(from).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let mut output = output.lock().unwrap();
        output.push_str(&line);
        output.push('\n');
    }
}
