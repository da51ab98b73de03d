//! The private PostgreSQL ends while the service runs.

use crate::process::folder::Folder;
use crate::support::eventually;
use crate::support::program::{Service, run};
use inkbox_imessage::proto::WhoAmIRequest;

#[tokio::test]
async fn a_private_postgresql_that_is_killed_is_started_again_and_nothing_is_lost() {
    let folder = Folder::migrated().await;
    run(&folder, &["org", "create", "org_a"]).await.succeeded();
    let secret = run(&folder, &["key", "create", "--scope", "admin", "--org", "org_a"]).await.secret();
    let service = Service::start(&folder, &[]).await;
    let admin = service.caller(&secret);
    admin.who_am_i(WhoAmIRequest {}).await.unwrap();
    for _ in 0..2 {
        folder.signal_postgres("-KILL");
        eventually("the service notices", async || {
            service.output().contains("private PostgreSQL server has ended").then_some(())
        })
        .await;
        eventually("calls are answered again", async || admin.who_am_i(WhoAmIRequest {}).await.ok()).await;
        service.until_health_is(Some("SERVING")).await;
    }
    assert!(service.output().contains("private PostgreSQL server was restarted"));
    service.stop().await;
}

#[tokio::test]
async fn a_service_whose_private_postgresql_cannot_be_restarted_ends_with_1() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    std::fs::rename(folder.path().join("pgdata/global"), folder.path().join("pgdata/lost")).unwrap();
    folder.signal_postgres("-KILL");
    let (status, output) = service.ended_within(std::time::Duration::from_mins(1)).await;
    assert_eq!(status.code(), Some(1), "{output}");
}
