//! The programs of PostgreSQL: where they are, and how they are run under the account of the data folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::geteuid;
use tokio::process::{Child, Command};

use super::data_folder::DataFolder;
use super::error::{Error, io_error};

/// Number of lines of the log that an error message contains.
const LOG_TAIL_LINES: usize = 8;
pub(super) const SHELL: &str = "/bin/sh";
/// Runs `"$@"` until it ends or the pipe on standard input closes, which happens however this process ends. A separate
/// process reads the pipe, so that the end of either side is noticed. Shells start background commands with INT ignored:
/// TERM ends a server that has not installed its handlers yet, and INT makes the shutdown of others fast.
const SUPERVISE: &str = r#"exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{ read -r line <&3; kill -TERM "$server"; kill -INT "$server"; } >/dev/null 2>&1 &
watcher=$!
wait "$server"; status=$?
kill "$watcher" 2>/dev/null
exit "$status""#;
/// Prints the first folder of `"$@"` that the account may not enter. If it may enter all, lists the folders that contain
/// the programs, with their versions: those in PATH, that of `pg_config`, and the package folders of known systems, the
/// newest version first.
const SURVEY: &str = r#"for dir do [ -x "$dir" ] || { printf 'barred %s\n' "$dir"; exit; }; done
for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin; do
    packaged=$dir:$packaged
done
IFS=: && set -f
for dir in $PATH:$(pg_config --bindir):$packaged; do
    [ -x "$dir/initdb" ] && printf '%s %s\n' "$dir" "$("$dir/postgres" --version)"
done"#;

impl DataFolder {
    /// The folder of the first programs that fit the version of the cluster, if there is a cluster. The search runs under
    /// the server's account, and also checks that this account can reach the data folder.
    pub(super) async fn find_programs(&self) -> Result<PathBuf, Error> {
        // From the root on, so that the error names the folder that blocks the path.
        let folders = self.data.ancestors().collect::<Vec<_>>().into_iter().rev();
        let found = self.shell(SURVEY).args(folders).stdout(Stdio::piped()).output().await;
        let found = found.map_err(io_error("run", Path::new(SHELL)))?.stdout;
        let cluster = fs::read_to_string(self.pgdata.join("PG_VERSION")).unwrap_or_default();
        let (cluster, name, pgdata) = (cluster.trim(), &self.account.name, self.pgdata.display());
        let mut problem = Error::NotInstalled;
        for line in String::from_utf8_lossy(&found).lines() {
            if let Some(dir) = line.strip_prefix("barred ") {
                let problem = format!("PostgreSQL runs as user {name}, who may not enter {dir}");
                return Err(Error::Unsuitable(format!("{problem}: allow it, or set INKBOX_DATA_DIR")));
            }
            // Such as `/usr/bin postgres (PostgreSQL) 15.18 (Debian …)`.
            let Some((folder, version)) = line.split_once(" postgres (PostgreSQL) ") else { continue };
            let version = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            if cluster.is_empty() || cluster == version {
                return Ok(folder.into());
            }
            let text =
                format!("{pgdata} needs PostgreSQL {cluster}, not {version}: install it, or move that away");
            problem = Error::Unsuitable(text);
        }
        Err(problem)
    }

    /// Starts a program on a folder, with its output in the log. It ends with this process at the latest.
    pub(super) fn launch(
        &self,
        program: &Path,
        folder: &Path,
        args: Vec<String>,
        log: &File,
    ) -> Result<Child, Error> {
        let output = || log.try_clone().map_err(io_error("share", &self.log));
        let mut command = self.shell(SUPERVISE);
        command.arg(program).arg("-D").arg(folder).args(args);
        // A separate process group, so that Ctrl-C stops only the service, which stops the server after its drain.
        command.stdin(Stdio::piped()).stdout(output()?).stderr(output()?).process_group(0);
        command.spawn().map_err(io_error("run", Path::new(SHELL)))
    }

    /// A shell command under the server's account. Its environment contains only PATH: other variables may contain secrets,
    /// and `PG…` variables would change what the programs do. The standard library drops root's supplementary groups.
    pub(super) fn shell(&self, script: &str) -> Command {
        let mut command = Command::new(SHELL);
        command.args(["-c", script, "sh"]).current_dir("/").env_clear().env("LC_ALL", "C");
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if geteuid().is_root() {
            command.uid(self.account.uid.as_raw()).gid(self.account.gid.as_raw());
        }
        command
    }

    /// An error of a program, with the end of the log.
    pub(super) fn failed(&self, program: &str, outcome: &str) -> Error {
        let log =
            fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
        Error::Failed(format!("{program} {outcome}; {} ends with:\n{tail}", self.log.display()))
    }
}
