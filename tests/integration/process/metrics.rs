//! Metrics of the program as operators run it.

use std::net::SocketAddr;

use inkbox_imessage::proto::WhoAmIRequest;
use tokio::net::{TcpListener, TcpStream};

use crate::process::folder::Folder;
use crate::support::eventually;
use crate::support::metrics::Scrape;
use crate::support::program::{Service, run};

/// Where the service says that its metrics are.
pub(super) fn address_in(output: &str) -> Option<SocketAddr> {
    let at = output.split_once("metrics.address=")?.1;
    at.split_whitespace().next()?.parse().ok()
}

#[tokio::test]
async fn metrics_tell_of_a_database_that_went_away_and_end_with_the_service() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &["--metrics-listen", "127.0.0.1:0"]).await;
    let address = address_in(&service.output()).expect("an address");
    assert_eq!(Scrape::of(address).await.value("inkbox_database_up", &[]), Some(1.0));

    folder.end_postgres_for_good();
    service.until_health_is(Some("NOT_SERVING")).await;
    assert_eq!(Scrape::of(address).await.value("inkbox_database_up", &[]), Some(0.0));
    let caller = service.caller("ink_unknownunknownunknownunknownunknownunknown0");
    caller.who_am_i(WhoAmIRequest {}).await.unwrap_err();
    eventually("its failure is counted", async || {
        let failed = [("reason", "STORAGE_UNAVAILABLE")];
        (Scrape::of(address).await.value("inkbox_grpc_errors_total", &failed) == Some(1.0)).then_some(())
    })
    .await;
    service.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn without_an_address_there_are_no_metrics() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let output = service.stop().await;
    assert_eq!(address_in(&output), None, "{output}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_before_anything_is_started() {
    let folder = Folder::empty();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(&folder, &["serve", "--metrics-listen", &address]).await.failed(1, "for metrics");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was touched");
}
