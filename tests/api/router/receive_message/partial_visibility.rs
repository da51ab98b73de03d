//! On a distributed database, the commit of a connect or a release becomes visible on one node before the other: the
//! route on one, the connection on the other. Until both are visible, no text may be lost or misdirected. The tests write
//! each half by hand.

use inkbox_imessage::proto::{Identity, ReceiveOutcome};

use crate::support::human::Thread;
use crate::support::snapshot::{everything, numbers};
use crate::support::{Human, TestApp, assert_reason, invariants};

/// Moves rows aside, or back.
async fn change(app: &TestApp, statements: &'static [&'static str]) {
    for statement in statements {
        sqlx::query(*statement).execute(&app.pool).await.unwrap();
    }
}

struct Scene {
    app: TestApp,
    identity: Identity,
    human: Human,
}

impl Scene {
    async fn set() -> Self {
        let app = TestApp::start().await;
        let identity = app.identity("org_a").await;
        let human = Human::new(&app, "+15551230001").await;
        Self { app, identity, human }
    }

    /// A text that meets halves is to be tried again, changes nothing, and is stored once it is tried again.
    async fn text_waits(&self, thread: &Thread, whole: &'static [&'static str]) {
        let before = everything(&self.app.pool).await;
        let text = self.human.text(&thread.line, "is anyone there?");
        assert_reason(self.human.router.receive_message(text.clone()).await, "STORAGE_UNAVAILABLE");
        assert_eq!(everything(&self.app.pool).await, before);
        change(&self.app, whole).await;
        for outcome in [ReceiveOutcome::Stored, ReceiveOutcome::Duplicate] {
            assert_eq!(self.human.router.receive_message(text.clone()).await.unwrap().outcome(), outcome);
        }
        invariants::hold(&self.app).await;
    }
}

#[tokio::test]
async fn a_text_whose_route_is_seen_before_its_connection_is_to_be_tried_again() {
    let scene = Scene::set().await;
    let thread = scene.human.connects(&scene.identity).await;
    change(&scene.app, &["CREATE TABLE aside AS SELECT * FROM connections", "DELETE FROM connections"]).await;
    scene.text_waits(&thread, &["INSERT INTO connections SELECT * FROM aside", "DROP TABLE aside"]).await;
}

#[tokio::test]
async fn a_text_whose_route_is_seen_before_its_conversation_is_active_again_is_to_be_tried_again() {
    let scene = Scene::set().await;
    scene.human.converses(&scene.identity, "hello").await;
    scene.human.disconnects(&scene.identity).await;
    let thread = scene.human.connects(&scene.identity).await;
    change(
        &scene.app,
        &[
            "CREATE TABLE aside AS SELECT id, released_at FROM connections",
            "UPDATE conversations SET assignment_released = true,
                 assignment_id = (SELECT id FROM aside WHERE released_at IS NOT NULL)",
        ],
    )
    .await;
    let whole = &[
        "UPDATE conversations SET assignment_released = false,
             assignment_id = (SELECT id FROM aside WHERE released_at IS NULL)",
        "DROP TABLE aside",
    ];
    scene.text_waits(&thread, whole).await;
}

#[tokio::test]
async fn a_text_after_half_a_release_is_never_stored() {
    let scene = Scene::set().await;
    let (thread, _) = scene.human.converses(&scene.identity, "hello").await;
    change(
        &scene.app,
        &[
            "UPDATE connections SET released_at = now()",
            "UPDATE conversations SET assignment_released = true",
        ],
    )
    .await;
    let text = scene.human.text(&thread.line, "too late");
    assert_reason(scene.human.router.receive_message(text.clone()).await, "STORAGE_UNAVAILABLE");
    change(&scene.app, &["DELETE FROM routes", "UPDATE lines SET active_connections = 0"]).await;
    let answer = scene.human.router.receive_message(text).await.unwrap();
    assert_eq!(answer.outcome(), ReceiveOutcome::NotConnected);
    assert_eq!(numbers(&scene.app.pool, "SELECT count(*) FROM messages").await, [1]);
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn a_handle_that_is_seen_before_its_identity_is_unknown() {
    let scene = Scene::set().await;
    change(&scene.app, &["CREATE TABLE aside AS SELECT * FROM identities", "DELETE FROM identities"]).await;
    let connect = format!("connect @{}", scene.identity.agent_handle);
    let unknown = scene.human.commands("connect @nobody").await;
    let half = scene.human.commands(&connect).await;
    assert_eq!((half.outcome(), half.reply_text), (ReceiveOutcome::Refused, unknown.reply_text));
    change(&scene.app, &["INSERT INTO identities SELECT * FROM aside", "DROP TABLE aside"]).await;
    scene.human.connects(&scene.identity).await;
}
