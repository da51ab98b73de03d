use inkbox_imessage::clock::Clock;
use inkbox_imessage::maintenance::delete_identity;
use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::{
    CreateApiKeyRequest, CreateIdentityRequest, DeleteIdentityRequest, DeleteIdentityResponse,
    GetIdentityRequest, ListApiKeysRequest, ListConnectionsRequest, ListContactRulesRequest,
    ListConversationsRequest, ListDeliveriesRequest, ListIdentitiesRequest, ListMessagesRequest,
    ReceiveOutcome, SendMessageRequest, WhoAmIRequest,
};
use tonic::Status;
use uuid::Uuid;

use crate::messages::all_messages;
use crate::support::assertions::assert_alike;
use crate::support::callers::Caller;
use crate::support::history::History;
use crate::support::snapshot::{everything, numbers};
use crate::support::{Human, TestApp, assert_fields, assert_reason, eventually, invariants, rows};

async fn delete(caller: &Caller, id: &str) -> Result<DeleteIdentityResponse, Status> {
    caller.delete_identity(DeleteIdentityRequest { identity_id: id.to_owned() }).await
}

#[tokio::test]
async fn everything_of_the_identity_is_gone_and_nothing_of_others() {
    let app = TestApp::start().await;
    let (kept, admin) = (app.identity("org_a").await, app.admin("org_a").await);
    let foreign = app.identity("org_b").await;
    let humans = [Human::new(&app, "+15551230001").await, Human::new(&app, "+15551230002").await];
    History::between(&app, &humans[0], &kept).await;
    History::between(&app, &humans[0], &foreign).await;
    rows::block(&app.pool, &kept, "+15551230009").await;
    let before = everything(&app.pool).await;

    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let history = History::between(&app, &humans[0], &identity).await;
    humans[1].connects(&identity).await;
    let released = Human::new(&app, "+15551230003").await;
    released.connects(&identity).await;
    released.disconnects(&identity).await;
    rows::block(&app.pool, &identity, "+15551230009").await;
    delete(&admin, &identity.id).await.unwrap();

    let mut after = everything(&app.pool).await;
    let mut before = before;
    let mentions = [&identity.id, &history.conversation_id, &history.first_id, &history.sent_id];
    for (table, left) in &after {
        let left = left.to_string();
        let is_mentioned = mentions.iter().any(|mention| left.contains(mention.as_str()));
        assert!(!is_mentioned || ["api_keys", "audit_log"].contains(&table.as_str()), "{table}: {left}");
    }
    // The keys that were made since, the log of who did so, and deduplication records, which belong to nobody.
    for table in ["api_keys", "audit_log", "key_digests", "key_epoch", "router_commands", "forgotten_texts"] {
        before.remove(table);
        after.remove(table);
    }
    assert_eq!(after, before);
    invariants::hold(&app).await;
    assert_reason(agent.who_am_i(WhoAmIRequest {}).await, "API_KEY_INVALID");
}

#[tokio::test]
async fn a_deleted_identity_reads_like_one_that_never_was() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let identity = app.identity("org_a").await;
    Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    delete(&admin, &identity.id).await.unwrap();

    let unknown = Uuid::from_u128(1).to_string();
    assert_alike(delete(&admin, &identity.id).await, delete(&admin, &unknown).await);
    let get = |id: &str| GetIdentityRequest { identity_id: id.to_owned(), ..Default::default() };
    assert_alike(admin.get_identity(get(&identity.id)).await, admin.get_identity(get(&unknown)).await);
    let by_handle =
        GetIdentityRequest { agent_handle: Some(identity.agent_handle.clone()), ..Default::default() };
    assert_reason(admin.get_identity(by_handle).await, "NOT_FOUND");
    let key = CreateApiKeyRequest { agent_identity_id: identity.id.clone(), ..Default::default() };
    assert_reason(admin.create_api_key(key).await, "NOT_FOUND");
    let agent_identity_id = Some(identity.id.clone());
    let request =
        ListConversationsRequest { agent_identity_id: agent_identity_id.clone(), ..Default::default() };
    assert_reason(admin.list_conversations(request).await, "NOT_FOUND");
    let request = ListMessagesRequest { agent_identity_id: agent_identity_id.clone(), ..Default::default() };
    assert_reason(admin.list_messages(request).await, "NOT_FOUND");
    let request =
        ListConnectionsRequest { agent_identity_id: agent_identity_id.clone(), ..Default::default() };
    assert_reason(admin.list_connections(request).await, "NOT_FOUND");
    let request = ListContactRulesRequest { agent_identity_id, ..Default::default() };
    assert_reason(admin.list_contact_rules(request).await, "NOT_FOUND");
    let listed = admin.list_identities(ListIdentitiesRequest::default()).await.unwrap().identities;
    assert_eq!(listed, []);
    assert!(all_messages(&admin).await.is_empty());
}

#[tokio::test]
async fn its_keys_stop_on_every_replica_and_stay_listed_as_revoked() {
    let app = TestApp::start().await;
    let replica = app.replica_sharing_clock().await;
    let (admin, identity) = (app.admin("org_a").await, app.identity("org_a").await);
    let agent = app.agent(&identity).await;
    let there = replica.with_secret(agent.secret.as_deref().unwrap());
    for caller in [&agent, &there] {
        caller.who_am_i(WhoAmIRequest {}).await.unwrap();
    }
    delete(&admin, &identity.id).await.unwrap();
    assert_reason(agent.who_am_i(WhoAmIRequest {}).await, "API_KEY_INVALID");
    eventually("the other replica has noticed", async || there.who_am_i(WhoAmIRequest {}).await.err()).await;
    let keys = admin.list_api_keys(ListApiKeysRequest::default()).await.unwrap().api_keys;
    let of_identity: Vec<_> =
        keys.iter().filter(|key| key.agent_identity_id.as_ref() == Some(&identity.id)).collect();
    assert_eq!(of_identity.len(), 1);
    assert!(of_identity[0].revoked_at.is_some());
}

#[tokio::test]
async fn its_handle_is_free_for_any_organization_and_connects_to_its_new_identity() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = human.converses(&identity, "hello").await;
    delete(&admin, &identity.id).await.unwrap();
    let refused = human.commands(&format!("connect @{}", identity.agent_handle)).await;
    let unknown = human.commands("connect @nobody").await;
    assert_eq!((refused.outcome(), &refused.reply_text), (ReceiveOutcome::Refused, &unknown.reply_text));
    assert_eq!(human.says(&thread, "anybody?").await.outcome(), ReceiveOutcome::NotConnected);

    let again = CreateIdentityRequest {
        agent_handle: identity.agent_handle.to_uppercase(),
        imessage_enabled: true,
        ..Default::default()
    };
    let successor = app.admin("org_b").await.create_identity(again).await.unwrap().identity.unwrap();
    assert_ne!(successor.id, identity.id);
    human.converses(&successor, "hello again").await;
    assert_eq!(all_messages(&app.agent(&successor).await).await.len(), 1);
    invariants::hold(&app).await;
}

#[tokio::test]
async fn it_waits_for_a_message_on_its_way_and_later_ones_are_refused() {
    let app = TestApp::start().await;
    let (admin, identity) = (app.admin("org_a").await, app.identity("org_a").await);
    // The sandbox takes 2 s, and the time-out of calls is that of carriers.
    let (_, id) = Human::new(&app, "+15005550003").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    let message = SendMessageRequest {
        target: Some(Target::ConversationId(id)),
        text: Some("hi".to_owned()),
        ..Default::default()
    };
    let (first, sender) = (message.clone(), agent.clone());
    let sending = tokio::spawn(async move { sender.send_message(first).await });
    eventually("the message is on its way", async || {
        let request = ListDeliveriesRequest::default();
        let sent = admin.list_deliveries(request).await.unwrap().deliveries;
        (!sent.is_empty()).then_some(())
    })
    .await;
    delete(&admin, &identity.id).await.unwrap();
    assert!(sending.is_finished() || numbers(&app.pool, "SELECT count(*) FROM messages").await == [0]);
    sending.await.unwrap().unwrap();
    assert_reason(agent.send_message(message).await, "API_KEY_INVALID");
    assert_eq!(numbers(&app.pool, "SELECT count(*) FROM messages").await, [0]);
    invariants::hold(&app).await;
}

#[tokio::test]
async fn an_interrupted_deletion_leaves_a_disabled_identity_and_is_completed_by_a_repetition() {
    let app = TestApp::start().await;
    let (admin, identity) = (app.admin("org_a").await, app.identity("org_a").await);
    let agent = app.agent(&identity).await;
    Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let clock: std::sync::Arc<dyn Clock> = app.clock.clone();
    let (organization, id) = ("org_a".into(), Uuid::try_parse(&identity.id).unwrap().into());
    assert!(delete_identity::begin(&app.parts.db, &clock, &organization, id).await.unwrap());

    let listed = admin.list_identities(ListIdentitiesRequest::default()).await.unwrap().identities;
    assert_eq!(listed.iter().map(|one| one.imessage_enabled).collect::<Vec<_>>(), [false]);
    eventually("the key is revoked", async || agent.who_am_i(WhoAmIRequest {}).await.err()).await;
    assert_eq!(all_messages(&admin).await.len(), 1);
    let again = CreateIdentityRequest { agent_handle: identity.agent_handle.clone(), ..Default::default() };
    assert_reason(admin.create_identity(again).await, "ALREADY_EXISTS");

    delete(&admin, &identity.id).await.unwrap();
    assert_reason(delete(&admin, &identity.id).await, "NOT_FOUND");
    invariants::hold(&app).await;
}

#[tokio::test]
async fn of_two_deletions_at_the_same_time_none_fails_but_by_not_found() {
    let app = TestApp::start().await;
    let (admin, identity) = (app.admin("org_a").await, app.identity("org_a").await);
    for number in 0..5 {
        Human::new(&app, &format!("+1555123000{number}")).await.converses(&identity, "hello").await;
    }
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let (admin, id) = (admin.clone(), identity.id.clone());
            tokio::spawn(async move { delete(&admin, &id).await })
        })
        .collect();
    let mut done = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => done += 1,
            refused => drop(assert_reason(refused, "NOT_FOUND")),
        }
    }
    assert!(done >= 1);
    invariants::hold(&app).await;
}

#[tokio::test]
async fn humans_who_connect_at_the_same_time_are_connected_to_nobody_afterwards() {
    let app = TestApp::start().await;
    let (admin, identity) = (app.admin("org_a").await, app.identity("org_a").await);
    let mut connecting = Vec::new();
    for number in 0..8 {
        let human = Human::new(&app, &format!("+1555123000{number}")).await;
        let command = format!("connect @{}", identity.agent_handle);
        connecting.push(tokio::spawn(async move { human.commands(&command).await.outcome() }));
    }
    delete(&admin, &identity.id).await.unwrap();
    for connect in connecting {
        let outcome = connect.await.unwrap();
        assert!(matches!(outcome, ReceiveOutcome::Connected | ReceiveOutcome::Refused), "{outcome:?}");
    }
    let left = "SELECT (SELECT count(*) FROM routes) + (SELECT count(*) FROM connections)";
    assert_eq!(numbers(&app.pool, left).await, [0]);
    invariants::hold(&app).await;
}

#[tokio::test]
async fn only_an_admin_of_the_organization_deletes_and_others_learn_nothing() {
    let app = TestApp::start().await;
    let (identity, foreign) = (app.identity("org_a").await, app.identity("org_b").await);
    let admin = app.admin("org_a").await;
    assert_reason(delete(&app.agent(&identity).await, &identity.id).await, "SCOPE_INSUFFICIENT");
    assert_reason(delete(&app.router().await, &identity.id).await, "SCOPE_INSUFFICIENT");
    let unknown = delete(&admin, &Uuid::from_u128(1).to_string()).await;
    assert_alike(delete(&admin, &foreign.id).await, unknown);
    assert_fields(delete(&admin, "").await, &["identity_id"]);
    for (organization, kept) in [("org_a", &identity), ("org_b", &foreign)] {
        let listed = app.admin(organization).await.list_identities(ListIdentitiesRequest::default()).await;
        assert_eq!(listed.unwrap().identities, std::slice::from_ref(kept));
    }
}
