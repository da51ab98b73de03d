use inkbox_imessage::proto::{
    MarkConversationReadRequest, MarkConversationReadResponse, ReceiveMessageResponse, SendMessageRequest,
    send_message_request::Target,
};
use tonic::Status;

use super::{deliveries, mark_read, only, receive_blocked, timestamp};
use crate::support::assertions::assert_alike;
use crate::support::callers::Caller;
use crate::support::{Human, Scene, TestApp, assert_fields, assert_reason};

async fn mark_up_to(
    caller: &Caller,
    id: &str,
    message_id: &str,
) -> Result<MarkConversationReadResponse, Status> {
    let request = MarkConversationReadRequest {
        conversation_id: id.to_owned(),
        up_to_message_id: Some(message_id.to_owned()),
    };
    caller.mark_conversation_read(request).await
}

async fn marked(caller: &Caller, id: &str, message_id: &str) -> i32 {
    mark_up_to(caller, id, message_id).await.unwrap().updated_count
}

fn id_of(stored: ReceiveMessageResponse) -> String {
    stored.message_id.unwrap()
}

#[tokio::test]
async fn messages_up_to_and_including_the_named_one_are_marked_and_later_ones_stay_unread() {
    let Scene { app: _app, human, thread, message_id: one, conversation_id: id, agent, .. } =
        Scene::start().await;
    let two = id_of(human.says(&thread, "two").await);
    let three = id_of(human.says(&thread, "three").await);

    assert_eq!(marked(&agent, &id, &two).await, 2);
    assert_eq!(only(&agent, None).await.unread_count, 1);
    // The horizon does not move back, and a repetition marks nothing.
    for message in [&one, &two] {
        assert_eq!(marked(&agent, &id, message).await, 0);
        assert_eq!(only(&agent, None).await.unread_count, 1);
    }
    assert_eq!(marked(&agent, &id, &three).await, 1);
    assert_eq!(only(&agent, None).await.unread_count, 0);
}

#[tokio::test]
async fn a_receipt_is_sent_also_when_the_named_message_was_read_before() {
    let Scene { app: _app, message_id, conversation_id: id, admin, agent, .. } = Scene::start().await;
    for (count, receipts) in [(1, 1), (0, 2)] {
        assert_eq!(marked(&agent, &id, &message_id).await, count);
        assert_eq!(deliveries(&admin, &id).await.len(), receipts);
    }
}

#[tokio::test]
async fn a_late_text_counts_by_its_arrival_not_by_its_place_in_the_list() {
    let Scene { app, human, thread, message_id: first, conversation_id: id, agent, .. } =
        Scene::start().await;
    let mut late = human.text(&thread.line, "sent yesterday, arrived now");
    let yesterday = inkbox_imessage::clock::Clock::now(&*app.clock) - chrono::TimeDelta::days(1);
    late.sent_at = Some(timestamp(yesterday));
    let late = id_of(human.router.receive_message(late).await.unwrap());

    assert_eq!(marked(&agent, &id, &first).await, 1, "the late one is older and arrived later");
    assert_eq!(marked(&agent, &id, &late).await, 1);
}

#[tokio::test]
async fn an_admin_may_name_a_blocked_message_and_marks_the_others_that_arrived_before_it() {
    let Scene { app, identity, human, thread, conversation_id: id, admin, agent, .. } = Scene::start().await;
    human.says(&thread, "two").await;
    let spam = id_of(receive_blocked(&app, &identity, &human, human.text(&thread.line, "spam")).await);
    human.says(&thread, "three").await;
    let more = id_of(receive_blocked(&app, &identity, &human, human.text(&thread.line, "spam")).await);

    // An identity key learns nothing of a blocked message.
    assert_reason(mark_up_to(&agent, &id, &spam).await, "NOT_FOUND");
    assert_alike(mark_up_to(&agent, &id, &spam).await, mark_up_to(&agent, &id, &id).await);
    for (message, count, unread) in [(&spam, 2, 1), (&spam, 0, 1), (&more, 1, 0), (&more, 0, 0)] {
        assert_eq!(marked(&admin, &id, message).await, count);
        assert_eq!(only(&agent, None).await.unread_count, unread);
        assert_eq!(only(&admin, Some(true)).await.unread_count, 2, "blocked ones are never marked");
    }
}

#[tokio::test]
async fn what_is_no_inbound_message_of_the_conversation_is_not_found_and_nothing_reaches_the_phone() {
    let Scene { app, identity, human, conversation_id: id, admin, agent, .. } = Scene::start().await;
    let sent = SendMessageRequest {
        target: Some(Target::ConversationId(id.clone())),
        text: Some("hi".to_owned()),
        ..Default::default()
    };
    let outbound = agent.send_message(sent).await.unwrap().message.unwrap().id;
    let (_, other) = Human::new(&app, "+15551230002").await.converses(&identity, "hello").await;
    let sibling = app.identity("org_a").await;
    let (_, siblings) = human.converses(&sibling, "hello").await;
    let foreign = app.identity("org_b").await;
    let stored = Human::new(&app, "+15551230003").await.converses(&foreign, "hello").await;
    let message_in = async |caller: &Caller, conversation: &str| {
        let request = inkbox_imessage::proto::ListMessagesRequest {
            conversation_id: Some(conversation.to_owned()),
            ..Default::default()
        };
        caller.list_messages(request).await.unwrap().messages.remove(0).id
    };
    let named = [
        id.clone(),
        outbound,
        message_in(&admin, &other).await,
        message_in(&admin, &siblings).await,
        message_in(&app.admin("org_b").await, &stored.1).await,
    ];
    let before = deliveries(&admin, &id).await;
    for caller in [&admin, &agent] {
        for message in &named {
            let nothing = mark_up_to(caller, &id, "01890a5d-ac96-774b-bcce-b302099a8057").await;
            assert_alike(mark_up_to(caller, &id, message).await, nothing);
        }
    }
    assert_eq!(deliveries(&admin, &id).await, before);
    assert_eq!(mark_read(&agent, &id).await.unwrap().updated_count, 1);
}

#[tokio::test]
async fn a_message_that_cannot_be_seen_comes_before_a_disabled_identity() {
    let Scene { app: _app, identity, message_id, conversation_id: id, admin, agent, .. } =
        Scene::start().await;
    let off = inkbox_imessage::proto::UpdateIdentityRequest {
        identity_id: identity.id.clone(),
        imessage_enabled: Some(false),
        ..Default::default()
    };
    admin.update_identity(off).await.unwrap();
    assert_reason(mark_up_to(&agent, &id, &id).await, "NOT_FOUND");
    assert_reason(mark_up_to(&agent, &id, &message_id).await, "IDENTITY_NOT_ENABLED");
}

#[tokio::test]
async fn nothing_is_marked_when_the_line_fails() {
    let Scene { app: _app, message_id, conversation_id: id, agent, .. } =
        Scene::with_human("+15005550002").await;
    assert_reason(mark_up_to(&agent, &id, &message_id).await, "UPSTREAM_FAILED");
    assert_eq!(only(&agent, None).await.unread_count, 1);
    assert_eq!(marked(&agent, &id, &message_id).await, 1);
}

#[tokio::test]
async fn a_present_but_empty_id_is_malformed() {
    let app = TestApp::start().await;
    let agent = app.agent(&app.identity("org_a").await).await;
    let answer = mark_up_to(&agent, "01890a5d-ac96-774b-bcce-b302099a8057", "").await;
    assert_fields(answer, &["up_to_message_id"]);
}
