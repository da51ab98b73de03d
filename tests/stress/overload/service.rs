//! The service as operators run it, with a private PostgreSQL and the demo's keys.

use std::cell::RefCell;
use std::fs::{Permissions, set_permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

use crate::overload::cpus::Shares;
use crate::support::callers::Caller;

/// How long it may take to start: it makes a database first.
const START: Duration = Duration::from_mins(2);
/// How long an answer is worth something.
pub const WORTH: Duration = Duration::from_secs(2);

pub struct Service {
    process: RefCell<Child>,
    address: String,
    admin: String,
    router: String,
    _folder: TempDir,
}

impl Service {
    pub fn start(shares: &Shares) -> Self {
        let folder = tempfile::Builder::new().prefix("inkbox-overload-").tempdir_in("/tmp").unwrap();
        // PostgreSQL may run under another account, which has to get in.
        set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_inkbox-imessage"));
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("INKBOX_") || name == "DATABASE_URL")
        {
            command.env_remove(name);
        }
        command
            .env("INKBOX_DATA_DIR", folder.path().join("data"))
            .env("INKBOX_LISTEN", "127.0.0.1:0")
            .env("INKBOX_DEMO", "true")
            .env("INKBOX_SENDS_PER_DAY", "0")
            .env("INKBOX_ACTIONS_PER_MINUTE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // From a thread of its own: a process runs where the thread that started it does.
        let mut process = thread::scope(|scope| {
            let starting = scope.spawn(|| {
                shares.take_service();
                command.spawn().unwrap()
            });
            starting.join().unwrap()
        });
        let (address, admin, router) = read_keys(&mut process);
        Self { process: RefCell::new(process), address, admin, router, _folder: folder }
    }

    /// A connection of its own, opened at its first call, whose calls wait so long for their answers.
    pub fn channel(&self, patience: Duration) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.timeout(patience).connect_lazy()
    }

    pub fn admin(&self, channel: Channel) -> Caller {
        Caller::new(channel, Some(self.admin.clone()))
    }

    pub fn router(&self, channel: Channel) -> Caller {
        Caller::new(channel, Some(self.router.clone()))
    }

    pub fn pid(&self) -> u32 {
        self.process.borrow().id()
    }

    /// Asserts that it has not ended.
    pub fn is_running(&self) {
        assert!(self.process.borrow_mut().try_wait().unwrap().is_none(), "the service has ended");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let process = self.process.get_mut();
        // In order, so that its database ends with it.
        let pid = process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = process.wait();
    }
}

/// Reads the log up to the keys; what comes later is read and dropped, since a log that nobody reads stops its writer.
fn read_keys(process: &mut Child) -> (String, String, String) {
    let log = BufReader::new(process.stderr.take().unwrap());
    let (told, keys) = mpsc::channel();
    thread::spawn(move || {
        let (mut address, mut admin) = (String::new(), String::new());
        for line in log.lines() {
            let Ok(line) = line else { return };
            if let Some(rest) = line.strip_prefix("Serving on ") {
                rest.split(',').next().unwrap().clone_into(&mut address);
            } else if let Some(secret) = line.strip_prefix("  admin   ") {
                secret.clone_into(&mut admin);
            } else if let Some(secret) = line.strip_prefix("  router  ") {
                let _ = told.send((address.clone(), admin.clone(), secret.to_owned()));
            }
        }
    });
    keys.recv_timeout(START).expect("keys in time")
}
