use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use inkbox_imessage::clock::SystemClock;
use inkbox_imessage::net::listeners::{ListenAddress, Listeners};
use inkbox_imessage::proto::WhoAmIRequest;
use inkbox_imessage::server::Server;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::support::callers::Caller;
use crate::support::{TestApp, eventually};
use crate::transport::clients::{health, unix_channel};

#[tokio::test]
async fn a_unix_socket_is_served_beside_tcp_and_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inkbox.sock");
    // Left behind by a process that was killed.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());

    let app = TestApp::start().await;
    let settings = TestApp::settings(app.options.clone());
    let addresses = [ListenAddress::Tcp("127.0.0.1:0".parse().unwrap()), ListenAddress::Unix(path.clone())];
    let listeners = Listeners::bind(&addresses).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let bound = listeners.addresses().unwrap();
    assert_eq!(bound[1], addresses[1]);
    let stop = CancellationToken::new();
    let server = Server::new(settings, Arc::new(SystemClock)).unwrap();
    let running = tokio::spawn(server.run(listeners, stop.clone()));

    let caller = Caller::new(unix_channel(path.clone()), app.admin("org_a").await.secret);
    eventually("the service is SERVING", async || {
        (health(caller.channel.clone()).await == Some("SERVING")).then_some(())
    })
    .await;
    assert!(caller.who_am_i(WhoAmIRequest {}).await.is_ok());
    let ListenAddress::Tcp(tcp) = &bound[0] else { panic!("{bound:?}") };
    let over_tcp = tonic::transport::Endpoint::from_shared(format!("http://{tcp}")).unwrap().connect_lazy();
    assert_eq!(health(over_tcp).await, Some("SERVING"));

    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_unix_socket_has_its_mode_from_the_moment_it_appears() {
    let folder = tempfile::tempdir().unwrap();
    let events = Inotify::init(InitFlags::empty()).unwrap();
    events.add_watch(folder.path(), AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ATTRIB).unwrap();
    let path = folder.path().join("inkbox.sock");
    let _listeners = Listeners::bind(&[ListenAddress::Unix(path.clone())]).await.unwrap();
    let name = path.file_name().unwrap();
    let seen = events.read_events().unwrap().into_iter().filter(|event| event.name.as_deref() == Some(name));
    // If its mode were set afterwards, others could connect before.
    assert_eq!(seen.map(|event| event.mask).collect::<Vec<_>>(), [AddWatchFlags::IN_CREATE]);
}

#[tokio::test]
async fn a_path_that_is_in_use_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let busy = folder.path().join("busy.sock");
    let _listener = UnixListener::bind(&busy).unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "text").unwrap();
    for path in [&busy, &file] {
        let (address, _) = Listeners::bind(&[ListenAddress::Unix(path.clone())]).await.unwrap_err();
        assert_eq!(address, ListenAddress::Unix(path.clone()));
        assert!(path.exists());
    }
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _taken = TcpListener::bind(taken).await.unwrap();
    assert!(Listeners::bind(&[ListenAddress::Tcp(taken)]).await.is_err());
}
