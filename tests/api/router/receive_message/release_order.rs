//! A text and a release, held up by locks of the test's own, so that they meet between two given statements.

use inkbox_imessage::proto::{
    AssignmentStatus, GetConversationRequest, ReceiveOutcome, ReleaseConnectionRequest,
    ReleaseConnectionResponse,
};
use sqlx::Connection as _;
use tokio::task::JoinHandle;
use tonic::Status;

use crate::support::human::Thread;
use crate::support::locks::{holding, until_waiting, waiting};
use crate::support::snapshot::numbers;
use crate::support::{Human, TestApp, eventually};

type Releasing = JoinHandle<Result<ReleaseConnectionResponse, Status>>;

async fn releasing(app: &TestApp, thread: &Thread) -> Releasing {
    let admin = app.admin("org_a").await;
    let request = ReleaseConnectionRequest { connection_id: thread.connection_id.clone() };
    tokio::spawn(async move { admin.release_connection(request).await })
}

#[tokio::test]
async fn a_text_that_comes_to_its_conversation_after_the_release_is_not_stored() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, conversation_id) = human.converses(&identity, "hello").await;
    let lock = "SELECT id FROM conversations WHERE organization_id = 'org_a' AND id = $1 FOR UPDATE";
    let held = holding(&app, lock, &conversation_id).await;

    let release = releasing(&app, &thread).await;
    until_waiting(&app, 1).await;
    // Its connection is still the active one, as far as anyone can see.
    let text = tokio::spawn({
        let (human, thread) = (human.clone(), thread.clone());
        async move { human.says(&thread, "too late").await }
    });
    until_waiting(&app, 2).await;
    held.close().await.unwrap();

    release.await.unwrap().unwrap();
    assert_eq!(text.await.unwrap().outcome(), ReceiveOutcome::NotConnected);
    assert_eq!(numbers(&app.pool, "SELECT count(*) FROM messages").await, [1]);
}

#[tokio::test]
async fn a_release_while_the_first_text_makes_the_conversation_leaves_it_released() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    // The text has seen its connection active when it comes to wait for this row.
    let rival =
        "INSERT INTO conversations (organization_id, id, agent_identity_id, remote_number, assignment_id,
                                            created_at, updated_at, latest_at)
                 SELECT organization_id, id, agent_identity_id, remote_number, id, now(), now(), now()
                 FROM connections WHERE id = $1";
    let held = holding(&app, rival, &thread.connection_id).await;
    let text = tokio::spawn({
        let (human, thread) = (human.clone(), thread.clone());
        async move { human.says(&thread, "hello").await }
    });
    until_waiting(&app, 1).await;
    let release = releasing(&app, &thread).await;
    eventually("the release waits or is done", async || {
        (release.is_finished() || waiting(&app).await == 2).then_some(())
    })
    .await;
    held.close().await.unwrap();

    let text = text.await.unwrap();
    assert_eq!(text.outcome(), ReceiveOutcome::Stored);
    release.await.unwrap().unwrap();
    let get =
        GetConversationRequest { conversation_id: text.conversation_id.unwrap(), agent_identity_id: None };
    let conversation = app.admin("org_a").await.get_conversation(get).await.unwrap().conversation.unwrap();
    assert_eq!(conversation.assignment_status(), AssignmentStatus::Released);
}
