//! A streaming standby for lists and gets: what is read from it, and what never is.

use std::time::Duration;

use inkbox_imessage::carrier_webhooks::{Secrets, Webhooks};
use inkbox_imessage::domain::{CarrierKind, LineRole};
use inkbox_imessage::proto::*;
use inkbox_imessage::server::Settings;
use inkbox_imessage::store::ReplicaSettings;

use tokio::net::TcpListener;

use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::callers::Caller;
use crate::support::cluster::Cluster;
use crate::support::http::call;
use crate::support::phone_line::PhoneLine;
use crate::support::{Human, TestApp, assert_reason, eventually};

/// A lag that no test comes near to.
pub(crate) const ANY_LAG: Duration = Duration::from_mins(5);

/// Reads from this standby.
pub(crate) fn reading_from(standby: &Cluster, longest_lag: Duration) -> impl FnOnce(&mut Settings) {
    let options = standby.options();
    move |settings| settings.standby = Some(ReplicaSettings { options, longest_lag })
}

/// Holds the standby where it is.
pub(crate) async fn pause(standby: &Cluster) {
    standby.execute("SELECT pg_wal_replay_pause()").await;
    let pool = standby.pool();
    eventually("the standby stands still", async || {
        let state = sqlx::query_scalar("SELECT pg_get_wal_replay_pause_state()");
        let state: String = state.fetch_one(&pool).await.unwrap();
        (state == "paused").then_some(())
    })
    .await;
}

/// Lets it go on.
pub(crate) async fn resume(standby: &Cluster) {
    standby.execute("SELECT pg_wal_replay_resume()").await;
}

/// An identity of an organization, its admin, and how many changes of its name there were.
pub(crate) struct Probe {
    admin: Caller,
    id: String,
}

impl Probe {
    pub(crate) async fn new(app: &TestApp, organization: &str) -> Self {
        let identity = app.identity(organization).await;
        Self { admin: app.admin(organization).await, id: identity.id }
    }

    /// The name as the service shows it.
    pub(crate) async fn shown(&self) -> String {
        let got = self
            .admin
            .get_identity(GetIdentityRequest { identity_id: self.id.clone(), ..Default::default() })
            .await
            .unwrap();
        got.identity.unwrap().display_name
    }

    /// Changes the name as another process would.
    pub(crate) async fn rename(&self, primary: &Cluster, name: &str) {
        let change = format!("UPDATE identities SET display_name = '{name}' WHERE id = '{}'", self.id);
        primary.execute(&change).await;
    }

    /// Waits until this organization's gets are answered by the standby, seen from its sessions.
    pub(crate) async fn until_read_from(&self, standby: &Cluster) {
        let pool = standby.pool();
        eventually("gets are answered by the standby", async || {
            let before: chrono::DateTime<chrono::Utc> =
                sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&pool).await.unwrap();
            self.shown().await;
            let query = "SELECT count(*) FROM pg_stat_activity
                         WHERE application_name = 'inkbox-imessage' AND query LIKE '%FROM identities%'
                           AND query_start > $1";
            let count: i64 = sqlx::query_scalar(query).bind(before).fetch_one(&pool).await.unwrap();
            (count > 0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn who_writes_through_a_process_reads_it_there_however_far_behind_the_standby_is() {
    let primary = Cluster::start(&[]).await;
    let standby = primary.standby().await;
    let app = primary.app(reading_from(&standby, ANY_LAG)).await;
    let (writer, bystander) = (Probe::new(&app, "org_a").await, Probe::new(&app, "org_b").await);
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let admin = app.admin("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, conversation_id) = human.converses(&identity, "first").await;
    bystander.rename(&primary, "old").await;
    writer.until_read_from(&standby).await;
    bystander.until_read_from(&standby).await;
    eventually("the name arrives", async || (bystander.shown().await == "old").then_some(())).await;
    pause(&standby).await;
    bystander.rename(&primary, "new").await;

    // Every kind of write and every kind of read of what it changed; the standby has none of it.
    let latest = async || {
        let list = agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
        let messages = agent.list_messages(ListMessagesRequest::default()).await.unwrap();
        (list.conversations[0].clone(), messages.messages)
    };
    for n in 0..5 {
        let unread_before = latest().await.0.unread_count;
        let words = format!("text {n}");
        human.says(&thread, &words).await;
        let (conversation, messages) = latest().await;
        assert_eq!(conversation.unread_count, unread_before + 1, "{conversation:?}");
        assert_eq!(messages[0].text.as_deref(), Some(&*words));
        assert!(!messages[0].is_read);

        let mark =
            MarkConversationReadRequest { conversation_id: conversation_id.clone(), ..Default::default() };
        agent.mark_conversation_read(mark).await.unwrap();
        let (conversation, messages) = latest().await;
        assert_eq!(conversation.unread_count, 0);
        assert!(messages[0].is_read);

        let target = Some(send_message_request::Target::ConversationId(conversation_id.clone()));
        let answer = SendMessageRequest { target, text: Some(format!("answer {n}")), ..Default::default() };
        let sent = agent.send_message(answer).await.unwrap().message.unwrap();
        let got = agent.get_message(GetMessageRequest { message_id: sent.id.clone(), ..Default::default() });
        assert_eq!(got.await.unwrap().message.unwrap().status, sent.status);
        assert_eq!(latest().await.1[0].id, sent.id);

        let (action, target) = (ContactRuleAction::Block.into(), format!("+1555999000{n}"));
        let id = Some(identity.id.clone());
        let rule = CreateContactRuleRequest { agent_identity_id: id, action, match_target: target.clone() };
        admin.create_contact_rule(rule).await.unwrap();
        let rules = admin.list_contact_rules(ListContactRulesRequest::default()).await.unwrap();
        assert_eq!(rules.contact_rules[0].match_target, target);
    }
    human.disconnects(&identity).await;
    let connections = agent.list_connections(ListConnectionsRequest::default()).await.unwrap();
    assert!(connections.connections.is_empty(), "{connections:?}");
    let get = GetConversationRequest { conversation_id, ..Default::default() };
    let got = agent.get_conversation(get).await.unwrap().conversation.unwrap();
    assert_eq!(got.assignment_status(), AssignmentStatus::Released);

    // All the while the others' reads stayed where they were, and see what is there.
    assert_eq!(bystander.shown().await, "old");
    resume(&standby).await;
    eventually("the name arrives", async || (bystander.shown().await == "new").then_some(())).await;
    writer.until_read_from(&standby).await;
}

#[tokio::test]
async fn delivery_news_are_shown_to_the_organization_that_they_turn_out_to_concern() {
    let primary = Cluster::start(&[]).await;
    let standby = primary.standby().await;
    let app = primary.app(reading_from(&standby, ANY_LAG)).await;
    let probe = Probe::new(&app, "org_a").await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, conversation_id) = human.converses(&identity, "first").await;
    let target = Some(send_message_request::Target::ConversationId(conversation_id));
    let answer = SendMessageRequest { target, text: Some("answer".to_owned()), ..Default::default() };
    let sent = agent.send_message(answer).await.unwrap().message.unwrap();
    probe.until_read_from(&standby).await;
    pause(&standby).await;
    let news = UpdateDeliveryStatusRequest {
        line_number: thread.line,
        // The sandbox's.
        provider_message_id: sent.id.clone(),
        status: DeliveryStatus::Delivered.into(),
        ..Default::default()
    };
    human.router.update_delivery_status(news).await.unwrap();
    let got = agent.get_message(GetMessageRequest { message_id: sent.id, ..Default::default() });
    assert_eq!(got.await.unwrap().message.unwrap().status(), DeliveryStatus::Delivered);
}

#[tokio::test]
async fn a_text_that_looks_like_a_tapback_sends_no_other_organization_to_the_primary() {
    const SECRET: &str = "sendblue-secret-0001";
    let primary = Cluster::start(&[]).await;
    let standby = primary.standby().await;
    let carriers = PhoneLine::start().await.settings(CarrierKind::Sendblue, &[POOL_LINES[0]]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let webhooks = listener.local_addr().unwrap();
    let secrets = Secrets { sendblue: Some(SECRET.parse().unwrap()), ..Secrets::default() };
    let app = TestApp::builder()
        .database(primary.options())
        .settings(reading_from(&standby, ANY_LAG))
        .settings(|settings| settings.lines = carriers)
        .server(|server| server.with_webhooks(Webhooks::new(listener, secrets)))
        .start()
        .await;
    app.add_line(ROUTER_LINE, LineRole::Router).await;
    app.add_line_with(POOL_LINES[0], LineRole::Pool, CarrierKind::Sendblue).await;
    let bystander = Probe::new(&app, "org_b").await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = human.converses(&identity, "first").await;
    bystander.rename(&primary, "old").await;
    bystander.until_read_from(&standby).await;
    eventually("the name arrives", async || (bystander.shown().await == "old").then_some(())).await;
    pause(&standby).await;
    bystander.rename(&primary, "new").await;

    // The second one is a redelivery.
    for result in ["tapback", "duplicate"] {
        let body = serde_json::json!({
            "content": "Loved “first”", "is_outbound": false, "status": "RECEIVED", "message_handle": "T-1",
            "date_sent": "2026-01-02T03:04:05.678Z", "from_number": human.number, "number": human.number,
            "to_number": thread.line, "sendblue_number": thread.line, "service": "iMessage",
        });
        let headers = [("content-type", "application/json"), ("sb-signing-secret", SECRET)];
        let answer = call(webhooks, "POST", "/webhooks/sendblue", &headers, body.to_string()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, result));
    }
    assert_eq!(bystander.shown().await, "old", "read from the standby");
    resume(&standby).await;
}

#[tokio::test]
async fn what_decides_is_read_on_the_primary_and_so_is_what_the_standby_does_not_have() {
    let primary = Cluster::start(&[]).await;
    let standby = primary.standby().await;
    let app = primary.app(reading_from(&standby, ANY_LAG)).await;
    // Another process, whose writes this one does not know of.
    let other = TestApp::builder().database(primary.options()).start().await;
    let probe = Probe::new(&app, "org_a").await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let there = other.with_secret(agent.secret.as_deref().unwrap());
    let human = Human::new(&other, "+15551230001").await;
    let (_, conversation_id) = human.converses(&identity, "first").await;
    let admin = other.admin("org_a").await;
    probe.until_read_from(&standby).await;
    pause(&standby).await;

    let (_, unknown) = Human::new(&other, "+15551230002").await.converses(&identity, "second").await;
    let get = GetConversationRequest { conversation_id: unknown.clone(), ..Default::default() };
    assert_eq!(agent.get_conversation(get.clone()).await.unwrap().conversation.unwrap().id, unknown);
    let listed = agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
    assert_eq!(listed.conversations.len(), 1, "a list may lag behind other processes");
    assert_eq!(
        there.list_conversations(ListConversationsRequest::default()).await.unwrap().conversations.len(),
        2
    );

    let rule = CreateContactRuleRequest {
        agent_identity_id: Some(identity.id.clone()),
        action: ContactRuleAction::Block.into(),
        match_target: "+15551230001".to_owned(),
    };
    admin.create_contact_rule(rule).await.unwrap();
    let target = Some(send_message_request::Target::ConversationId(conversation_id));
    let send = SendMessageRequest { target, text: Some("answer".to_owned()), ..Default::default() };
    assert_reason(agent.send_message(send).await, "RECIPIENT_BLOCKED");

    let disable = UpdateIdentityRequest {
        identity_id: identity.id.clone(),
        imessage_enabled: Some(false),
        ..Default::default()
    };
    admin.update_identity(disable.clone()).await.unwrap();
    let here = app.with_secret(admin.secret.as_deref().unwrap());
    let named =
        ListConversationsRequest { agent_identity_id: Some(identity.id.clone()), ..Default::default() };
    assert_reason(here.list_conversations(named).await, "IDENTITY_NOT_ENABLED");
    admin.update_identity(UpdateIdentityRequest { imessage_enabled: Some(true), ..disable }).await.unwrap();

    // A key that was made a moment ago works at once, wherever.
    let fresh = app.with_secret(other.agent(&identity).await.secret.as_deref().unwrap());
    fresh.who_am_i(WhoAmIRequest {}).await.unwrap();
    resume(&standby).await;
}
