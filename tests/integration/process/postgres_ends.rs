//! The private PostgreSQL ends while the service runs.

use inkbox_imessage::proto::ListConnectionsRequest;

use crate::process::folder::Folder;
use crate::support::eventually;
use crate::support::program::{Service, run};

#[tokio::test]
async fn a_private_postgresql_that_is_killed_is_started_again_and_nothing_is_lost() {
    let folder = Folder::migrated().await;
    run(&folder, &["org", "create", "org_a"]).await.succeeded();
    let secret = run(&folder, &["key", "create", "--scope", "admin", "--org", "org_a"]).await.secret();
    let service = Service::start(&folder, &[]).await;
    let admin = service.caller(&secret);
    let list = || admin.list_connections(ListConnectionsRequest::default());
    list().await.unwrap();
    for restarts in 1..=2 {
        folder.signal_postgres("-KILL");
        eventually("it is started again", async || {
            let output = service.output();
            (output.matches("private PostgreSQL server was restarted").count() == restarts).then_some(())
        })
        .await;
        eventually("calls are answered again", async || list().await.ok()).await;
        service.until_health_is(Some("SERVING")).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_service_whose_private_postgresql_cannot_be_restarted_ends_with_1() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    folder.end_postgres_for_good();
    let (status, output) = service.ended_within(std::time::Duration::from_mins(1)).await;
    assert_eq!(status.code(), Some(1), "{output}");
}
