//! The program on TLS and Unix sockets, asked by its own `health`, and out of file descriptors.

use std::path::{Path, PathBuf};
use std::process::Command as Plain;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::sleep;

use crate::process::folder::Folder;
use crate::support::eventually;
use crate::support::program::{self, Service, command};

/// Files with a certificate for `localhost` and its key, of one authority for both sides.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        files.write("ca.pem", &params.self_signed(&key).unwrap().pem());
        let authority = Issuer::new(params, key);
        for name in ["server", "client"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            files.write(&format!("{name}.pem"), &params.signed_by(&key, &authority).unwrap().pem());
            files.write(&format!("{name}.key"), &key.serialize_pem());
        }
        files
    }

    fn write(&self, name: &str, pem: &str) {
        std::fs::write(self.path(name), pem).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// `health` with the address of a service and further variables.
fn health(folder: &Folder, listen: &str, variables: &[(&str, &Path)]) -> Command {
    let mut health = command(folder, &["health"]);
    health.env("INKBOX_LISTEN", listen);
    for (name, value) in variables {
        health.env(name, value);
    }
    health
}

#[tokio::test]
async fn health_asks_over_tls_with_the_variables_of_the_service() {
    let (folder, files, others) = (Folder::migrated().await, Files::new(), Files::new());
    let (cert, key) = (files.path("server.pem"), files.path("server.key"));
    let mut serve = command(&folder, &["serve"]);
    serve
        .env("INKBOX_TLS_CERT", &cert)
        .env("INKBOX_TLS_KEY", &key)
        .env("INKBOX_TLS_CLIENT_CA", files.path("ca.pem"));
    let service = Service::launch(serve).await;
    let listen = service.address.to_string();
    let (client, client_key) = (files.path("client.pem"), files.path("client.key"));
    let shown = [("INKBOX_HEALTH_CERT", client.as_path()), ("INKBOX_HEALTH_KEY", client_key.as_path())];
    let ours = [&[("INKBOX_TLS_CERT", cert.as_path())], &shown[..]].concat();
    eventually("health says SERVING", async || {
        (program::finish(health(&folder, &listen, &ours)).await.code == Some(0)).then_some(())
    })
    .await;

    // By authority and name, from elsewhere.
    let ca = files.path("ca.pem");
    let by_name = [
        &[("INKBOX_HEALTH_CA", ca.as_path()), ("INKBOX_HEALTH_SERVER_NAME", Path::new("localhost"))],
        &shown[..],
    ];
    program::finish(health(&folder, &listen, &by_name.concat())).await.succeeded();
    let by_address = [&[("INKBOX_HEALTH_CA", ca.as_path())], &shown[..]].concat();
    program::finish(health(&folder, &listen, &by_address)).await.failed(1, "certificate");

    let other = others.path("server.pem");
    for wrong in [
        vec![],
        vec![("INKBOX_TLS_CERT", cert.as_path())],
        [&[("INKBOX_TLS_CERT", other.as_path())], &shown[..]].concat(),
    ] {
        assert_eq!(program::finish(health(&folder, &listen, &wrong)).await.code, Some(1), "{wrong:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn health_asks_over_a_unix_socket_and_for_liveness() {
    let folder = Folder::migrated().await;
    let sockets = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:0,unix:{}", sockets.path().join("inkbox.sock").display());
    let mut serve = command(&folder, &["serve"]);
    serve.env("INKBOX_LISTEN", &listen);
    let service = Service::spawn(serve).await;
    program::finish(health(&folder, &listen, &[])).await.succeeded();
    for name in ["liveness", "readiness"] {
        let mut named = health(&folder, &listen, &[]);
        program::finish({
            named.args(["--service", name]);
            named
        })
        .await
        .succeeded();
    }
    let mut unknown = health(&folder, &listen, &[]);
    unknown.args(["--service", "nonsense"]);
    program::finish(unknown).await.failed(2, "no health entry");
    service.stop().await;
    program::finish(health(&folder, &listen, &[])).await.failed(1, "nothing answers");
}

/// Processor time that a process has used, in hundredths of a second.
fn processor_time(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test]
async fn out_of_file_descriptors_it_backs_off_and_recovers() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let pid = service.pid();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let limit = |number: usize| {
        let set =
            Plain::new("prlimit").args([&format!("--pid={pid}"), &format!("--nofile={number}:")]).status();
        assert!(set.unwrap().success());
    };
    limit(open + 10);
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(TcpStream::connect(service.address).await.unwrap());
    }
    eventually("the warning", async || service.output().contains("cannot accept connections").then_some(()))
        .await;

    // A loop that asks again at once would take all of this time.
    let before = processor_time(pid);
    sleep(Duration::from_secs(2)).await;
    let used = processor_time(pid) - before;
    assert!(used < 50, "{used} hundredths of a second in two seconds");
    let warnings = service.output().matches("cannot accept connections").count();
    assert!(warnings <= 2, "{warnings} lines");

    drop(idle);
    service.until_health_is(Some("SERVING")).await;
    limit(open + 1_000);
    service.stop().await;
}

#[tokio::test]
async fn tls_files_that_cannot_be_used_are_one_line_and_exit_code_2() {
    let (folder, files) = (Folder::empty(), Files::new());
    files.write("nonsense", "nonsense");
    for (cert, key, client_ca, words) in [
        ("server.pem", "", "", "INKBOX_TLS_KEY"),
        ("", "server.key", "", "INKBOX_TLS_CERT"),
        ("", "", "ca.pem", "INKBOX_TLS_CERT"),
        ("nowhere", "server.key", "", "nowhere"),
        ("nonsense", "server.key", "", "no certificate"),
        ("server.pem", "nonsense", "", "nonsense"),
        // Half of one pair and half of another.
        ("server.pem", "client.key", "", "client.key"),
        ("server.pem", "server.key", "nonsense", "no certificate"),
    ] {
        let mut serve = command(&folder, &["serve"]);
        for (name, file) in [("CERT", cert), ("KEY", key), ("CLIENT_CA", client_ca)] {
            let path = if file.is_empty() { PathBuf::new() } else { files.path(file) };
            serve.env(format!("INKBOX_TLS_{name}"), path);
        }
        program::finish(serve).await.failed(2, words);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was touched");
}
