//! TLS to PostgreSQL, as `sslmode` of its URL asks for it.

use std::net::TcpListener;
use std::str::FromStr as _;

use inkbox_imessage::store;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sqlx::postgres::PgConnectOptions;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::cluster::Cluster;
use crate::support::servers;
use crate::support::{PATIENCE, TestApp};

/// A made-up authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key of a server.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A server on TCP, with a certificate for `localhost` where TLS is on; and its URL by an address of one's choice.
struct Setting {
    cluster: Cluster,
    port: u16,
    authority: Authority,
    files: tempfile::TempDir,
}

impl Setting {
    async fn start(tls: bool) -> Self {
        let authority = Authority::new();
        let files = servers::folder();
        let (certificate, key) = authority.certify("localhost");
        for (name, text) in [("cert", &certificate), ("key", &key), ("ca", &authority.pem)] {
            let file = files.path().join(name);
            std::fs::write(&file, text).unwrap();
            // PostgreSQL takes no key that others can read.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&file, mode).unwrap();
            servers::give(&file);
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| files.path().join(name).display().to_string();
        let (certificate, key) =
            (format!("ssl_cert_file={}", at("cert")), format!("ssl_key_file={}", at("key")));
        let port_setting = format!("port={port}");
        let mut settings = vec!["listen_addresses=127.0.0.1", &port_setting];
        if tls {
            settings.extend(["ssl=on", &certificate, &key]);
        }
        let cluster = Cluster::start_on(port, &settings).await;
        Self { cluster, port, authority, files }
    }

    fn url(&self, host: &str, parameters: &str) -> String {
        format!("postgres://inkbox@{host}:{}/inkbox?{parameters}", self.port)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let file = self.files.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }
}

#[tokio::test]
async fn every_connection_is_encrypted_where_the_url_asks_for_it() {
    let setting = Setting::start(true).await;
    let authority = setting.file("authority", &setting.authority.pem);
    for (host, parameters) in [
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={authority}")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={authority}")),
    ] {
        let options = PgConnectOptions::from_str(&setting.url(host, &parameters)).unwrap();
        let app = TestApp::builder().database(options).start().await;
        app.admin("org_a").await;
        let count =
            "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE application_name = 'inkbox-imessage'";
        let mut connection = setting.cluster.connect().await;
        let (encrypted, all): (i64, i64) = sqlx::query_as(count).fetch_one(&mut connection).await.unwrap();
        assert!(encrypted == all && all >= 2, "{parameters}: {encrypted} of {all}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_prove_what_the_url_asks_for_is_not_talked_to() {
    let with_tls = Setting::start(true).await;
    let authority = with_tls.file("authority", &with_tls.authority.pem);
    let another = with_tls.file("another", &Authority::new().pem);
    let without = Setting::start(false).await;
    for (url, problem) in [
        (with_tls.url("127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={another}")), "certificate"),
        (with_tls.url("127.0.0.1", "sslmode=verify-ca"), "certificate"),
        (with_tls.url("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={authority}")), "certificate"),
        (without.url("127.0.0.1", "sslmode=require"), "server does not support TLS"),
    ] {
        let options = PgConnectOptions::from_str(&url).unwrap();
        let error = store::schema_is_current(&options).await.unwrap_err().to_string();
        assert!(error.contains(problem), "{url}: {error}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_inkbox-imessage"));
        command.args(["org", "create", "org_a"]).env("DATABASE_URL", &url);
        let ended = timeout(PATIENCE, command.kill_on_drop(true).output()).await.expect("an end").unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains(problem), "{said}");
    }
}
