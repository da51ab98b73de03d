use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{
    Delivery, DeliveryKind, ListDeliveriesRequest, MarkConversationReadRequest, SendTypingIndicatorRequest,
};
use uuid::Uuid;

use crate::support::assertions::{assert_alike, assert_names_no_line};
use crate::support::callers::Caller;
use crate::support::{Human, TestApp, assert_fields, assert_reason};

fn of(id: &str) -> ListDeliveriesRequest {
    ListDeliveriesRequest { conversation_id: Some(id.to_owned()), ..Default::default() }
}

fn of_all() -> ListDeliveriesRequest {
    ListDeliveriesRequest::default()
}

/// Makes a typing call, whatever becomes of it.
async fn types(caller: &Caller, id: &str) {
    let request = SendTypingIndicatorRequest { conversation_id: id.to_owned(), ..Default::default() };
    let _ = caller.send_typing_indicator(request).await;
}

/// Marks a conversation read, whatever becomes of it.
async fn marks(caller: &Caller, id: &str) {
    let request = MarkConversationReadRequest { conversation_id: id.to_owned(), ..Default::default() };
    let _ = caller.mark_conversation_read(request).await;
}

fn told(deliveries: &[Delivery]) -> Vec<(DeliveryKind, &str)> {
    deliveries.iter().map(|delivery| (delivery.kind(), delivery.conversation_id.as_str())).collect()
}

#[tokio::test]
async fn deliveries_are_listed_oldest_first_for_all_or_one_conversation() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let other = Human::new(&app, "+15551230002").await;
    let (_, one) = human.converses(&identity, "hello").await;
    let (_, two) = other.converses(&identity, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    marks(&agent, &one).await;
    types(&agent, &two).await;
    types(&admin, &one).await;

    let all = admin.list_deliveries(of_all()).await.unwrap().deliveries;
    let (receipt, typing) = (DeliveryKind::ReadReceipt, DeliveryKind::Typing);
    assert_eq!(told(&all), [(receipt, one.as_str()), (typing, two.as_str()), (typing, one.as_str())]);
    assert_eq!(all[0].remote_number, human.number);
    assert_eq!(all[1].remote_number, other.number);
    assert!(all.is_sorted_by_key(|delivery| delivery.at.map(|at| (at.seconds, at.nanos))), "{all:?}");
    assert!(all.iter().all(|delivery| delivery.at.is_some() && delivery.text.is_none() && !delivery.failed));

    let of_one = admin.list_deliveries(of(&one)).await.unwrap().deliveries;
    assert_eq!(told(&of_one), [(receipt, one.as_str()), (typing, one.as_str())]);
    let of_two = admin.list_deliveries(of(&two)).await.unwrap().deliveries;
    assert_eq!(told(&of_two), [(typing, two.as_str())]);
}

#[tokio::test]
async fn there_is_one_delivery_per_attempt_and_failed_ones_say_so() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    for (number, failed) in [
        ("+15551230001", [false, false, false]),
        ("+15005550001", [true, true, true]),
        ("+15005550002", [true, false, true]),
        ("+15005550003", [false, false, false]),
        ("+15005550004", [true, true, true]),
        ("+15005550005", [true, true, true]),
    ] {
        let human = Human::new(&app, number).await;
        let (_, id) = human.converses(&identity, "hello").await;
        types(&agent, &id).await;
        tokio::join!(types(&agent, &id), marks(&agent, &id));
        let deliveries = admin.list_deliveries(of(&id)).await.unwrap().deliveries;
        assert_eq!(deliveries.iter().map(|attempt| attempt.failed).collect::<Vec<_>>(), failed, "{number}");
    }
}

#[tokio::test]
async fn organizations_never_mix_even_for_the_same_human() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.identity("org_a").await, app.identity("org_b").await);
    let human = Human::new(&app, "+15551230001").await;
    let (_, our_id) = human.converses(&ours, "hello").await;
    let (_, their_id) = human.converses(&theirs, "hello").await;
    types(&app.agent(&ours).await, &our_id).await;
    types(&app.agent(&theirs).await, &their_id).await;

    for (organization, id) in [("org_a", our_id), ("org_b", their_id)] {
        let admin = app.admin(organization).await;
        let deliveries = admin.list_deliveries(of_all()).await.unwrap().deliveries;
        assert_eq!(told(&deliveries), [(DeliveryKind::Typing, id.as_str())]);
    }
}

#[tokio::test]
async fn pages_go_back_from_the_newest_deliveries_and_each_is_oldest_first() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (_, one) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let (_, two) = Human::new(&app, "+15551230002").await.converses(&identity, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    // Several have the same time.
    app.clock.freeze(app.clock.now());
    for _ in 0..3 {
        types(&agent, &one).await;
        marks(&agent, &one).await;
        types(&agent, &two).await;
    }
    let all = admin.list_deliveries(of_all()).await.unwrap();
    assert_eq!((all.deliveries.len(), all.next_page_token.as_str()), (9, ""), "all fit on one page");

    let pages = async |request: ListDeliveriesRequest| {
        let (mut pages, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListDeliveriesRequest { page_token, limit: Some(4), ..request.clone() };
            let page = admin.list_deliveries(request).await.unwrap();
            pages.insert(0, page.deliveries);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return pages;
            }
        }
    };
    let of_organization = pages(of_all()).await;
    assert_eq!(of_organization.iter().map(Vec::len).collect::<Vec<_>>(), [1, 4, 4]);
    assert_eq!(of_organization.concat(), all.deliveries);
    let of_one = pages(of(&one)).await;
    assert_eq!(of_one.iter().map(Vec::len).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(of_one.concat(), admin.list_deliveries(of(&one)).await.unwrap().deliveries);

    let skipping = ListDeliveriesRequest { limit: Some(2), offset: Some(3), ..of_all() };
    assert_eq!(admin.list_deliveries(skipping).await.unwrap().deliveries, all.deliveries[4..6]);

    // A token belongs to its list, and new deliveries do not move its place.
    let first = ListDeliveriesRequest { limit: Some(4), ..of_all() };
    let page_token = admin.list_deliveries(first).await.unwrap().next_page_token;
    types(&agent, &one).await;
    let next = ListDeliveriesRequest { limit: Some(4), page_token: page_token.clone(), ..of_all() };
    assert_eq!(admin.list_deliveries(next).await.unwrap().deliveries, all.deliveries[1..5]);
    let elsewhere = ListDeliveriesRequest { page_token, ..of(&one) };
    assert_fields(admin.list_deliveries(elsewhere).await, &["page_token"]);
}

#[tokio::test]
async fn the_limit_of_a_page_is_1_to_1000() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let limited = |limit| ListDeliveriesRequest { limit: Some(limit), ..of_all() };
    for limit in [1, 1_000] {
        assert_eq!(admin.list_deliveries(limited(limit)).await.unwrap().deliveries, []);
    }
    for limit in [-1, 0, 1_001] {
        assert_fields(admin.list_deliveries(limited(limit)).await, &["limit"]);
    }
    let wrong = ListDeliveriesRequest { offset: Some(-1), page_token: "nonsense".to_owned(), ..of("") };
    assert_fields(admin.list_deliveries(wrong).await, &["conversation_id", "offset", "page_token"]);
}

#[tokio::test]
async fn unknown_and_foreign_conversations_read_alike() {
    let app = TestApp::start().await;
    let foreign = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, of_foreign) = human.converses(&foreign, "hello").await;
    types(&app.agent(&foreign).await, &of_foreign).await;
    let unknown = Uuid::from_u128(1).to_string();

    let admin = app.admin("org_a").await;
    assert_reason(admin.list_deliveries(of(&unknown)).await, "NOT_FOUND");
    assert_alike(admin.list_deliveries(of(&of_foreign)).await, admin.list_deliveries(of(&unknown)).await);
}

#[tokio::test]
async fn only_admin_keys_may_look_and_malformed_ids_are_told_first() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "hello").await;

    for caller in [app.agent(&identity).await, app.router().await] {
        assert_reason(caller.list_deliveries(of_all()).await, "SCOPE_INSUFFICIENT");
        assert_reason(caller.list_deliveries(of(&id)).await, "SCOPE_INSUFFICIENT");
        assert_fields(caller.list_deliveries(of("nonsense")).await, &["conversation_id"]);
    }
    let admin = app.admin("org_a").await;
    assert_fields(admin.list_deliveries(of("")).await, &["conversation_id"]);
    assert_eq!(admin.list_deliveries(of(&id)).await.unwrap().deliveries, []);
    assert_reason(app.stranger().list_deliveries(of("nonsense")).await, "API_KEY_INVALID");
}

#[tokio::test]
async fn no_line_number_is_shown() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "hello").await;
    let admin = app.admin("org_a").await;
    types(&admin, &id).await;

    let answer = admin.list_deliveries(of_all()).await.unwrap();
    assert_eq!(answer.deliveries.len(), 1);
    assert_names_no_line(&answer);
}
