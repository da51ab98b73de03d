//! Background tasks are supervised: one that fails drains the server, and its name is in the error.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use inkbox_imessage::clock::{Clock, SystemClock};
use inkbox_imessage::server::{ServeError, Server};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{PATIENCE, TestApp, database};

/// A clock whose time cannot be read. Several background tasks read it as soon as the database is open.
#[derive(Debug)]
struct BrokenClock;

impl Clock for BrokenClock {
    fn now(&self) -> DateTime<Utc> {
        panic!("as the test asked")
    }

    fn new_id(&self) -> Uuid {
        SystemClock.new_id()
    }

    fn compare(&self, _database: DateTime<Utc>) -> TimeDelta {
        TimeDelta::zero()
    }
}

#[tokio::test]
async fn a_panic_of_a_background_task_drains_the_server_and_is_its_error() {
    let settings = TestApp::settings(database::fresh().await);
    let server = Server::new(settings, Arc::new(BrokenClock)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ended = timeout(PATIENCE, server.run(listener, CancellationToken::new())).await.unwrap();
    let Err(ServeError::TaskPanicked(name)) = ended else { panic!("{ended:?}") };
    assert!(["cleanup", "pending messages", "router replies"].contains(&name), "{name}");
    TcpListener::bind(address).await.expect("the listener was closed");
}
