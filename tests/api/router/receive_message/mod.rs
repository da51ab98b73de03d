mod partial_visibility;
mod pool_line;
mod pool_line_duplicates;
mod pool_line_fields;
mod pool_line_races;
mod release_order;
mod router_line;
mod router_line_commands;
mod router_line_duplicates;
mod router_line_races;

use inkbox_imessage::proto::ListConnectionsRequest;

use crate::support::TestApp;

/// The ids of an organization's active connections, newest first.
async fn connections(app: &TestApp, organization: &str) -> Vec<String> {
    let admin = app.admin(organization).await;
    let listed = admin.list_connections(ListConnectionsRequest::default()).await.unwrap();
    listed.connections.into_iter().map(|connection| connection.id).collect()
}
