//! Callers of the same moment share statements, and each gets an answer of its own.

mod changes;
mod reads;

use std::time::Duration;

use inkbox_imessage::domain::LineRole;
use inkbox_imessage::proto::{GetConversationRequest, GetConversationResponse};
use tonic::Status;

use crate::support::TestApp;
use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::callers::Caller;
use crate::support::database;
use crate::support::proxy::{NetworkState, Proxy};

/// One way to the database: one after the other on one session, a tenth of the calls below would use up the time of all.
const DELAY: Duration = Duration::from_millis(60);

/// A service with a single session, far from its database.
async fn far() -> (TestApp, Proxy) {
    let direct = database::fresh().await;
    let proxy = Proxy::unix(&direct);
    let app = TestApp::builder()
        .database(proxy.options(&direct))
        .settings(|settings| settings.sessions = 1)
        .start()
        .await;
    app.add_line(ROUTER_LINE, LineRole::Router).await;
    for line in POOL_LINES {
        app.add_line(line, LineRole::Pool).await;
    }
    (app, proxy)
}

fn slow() -> NetworkState {
    NetworkState { delay: DELAY, steady: true, ..NetworkState::default() }
}

async fn get(caller: &Caller, id: &str) -> Result<GetConversationResponse, Status> {
    let request = GetConversationRequest { conversation_id: id.to_owned(), agent_identity_id: None };
    caller.get_conversation(request).await
}
