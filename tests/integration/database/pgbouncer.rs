//! Debian's PgBouncer in transaction mode, before a PostgreSQL.

use std::path::PathBuf;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::servers::{self, Running};

/// So few sessions of PostgreSQL that clients have to share them.
const SESSIONS: u8 = 3;

/// A pooler that ends with the test.
pub(crate) struct PgBouncer {
    // Dropped in this order: first the server.
    _running: Running,
    folder: TempDir,
}

impl PgBouncer {
    /// A pooler as it comes, with these lines of configuration besides what it cannot do without.
    pub(crate) async fn before(cluster: &Cluster, besides: &str) -> Self {
        let folder = servers::folder();
        let (here, there) = (folder.path().display(), cluster.folder.path().display());
        let configuration = format!(
            "[databases]\ninkbox = host={there} port=5432 user=inkbox\n[pgbouncer]\nlisten_addr =\n\
             listen_port = 6432\nunix_socket_dir = {here}\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {SESSIONS}\nmax_client_conn = 200\nserver_login_retry = 1\n{besides}\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, configuration).unwrap();
        servers::give(&file);
        let program = servers::find("pgbouncer", &[PathBuf::from("/usr/sbin")], "`make setup` installs it");
        let arguments = [file.to_str().unwrap().to_owned()];
        let running = Running::start("KILL", &program, &arguments, &folder.path().join("log"));
        let pooler = Self { _running: running, folder };
        let options = pooler.options(cluster).extra_float_digits(None);
        eventually("PgBouncer answers", async || options.connect().await.ok().map(drop)).await;
        pooler
    }

    /// How to reach the same database through the pooler.
    pub(crate) fn options(&self, cluster: &Cluster) -> PgConnectOptions {
        cluster.options().socket(self.folder.path()).port(6432)
    }
}
