use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::domain::Transport;
use inkbox_imessage::proto::{
    AssignmentStatus, ConversationSummary, Identity, ListConversationsRequest, ReceiveMessageRequest,
    ReceiveMessageResponse, ReceiveOutcome, ReleaseConnectionRequest,
};
use inkbox_imessage::store::inbound::{self, AppendOutcome, Destination, InboundText, NewInbound};
use uuid::Uuid;

use crate::support::snapshot::numbers;
use crate::support::{Human, TestApp, rows};

/// Races are run for so many humans, each with a thread of its own.
const ROUNDS: usize = 5;

async fn at_once(human: &Human, texts: Vec<ReceiveMessageRequest>) -> Vec<ReceiveMessageResponse> {
    let deliveries = texts.into_iter().map(|text| human.router.receive_message(text));
    join_all(deliveries).await.into_iter().map(Result::unwrap).collect()
}

fn eight_texts(human: &Human, line: &str) -> Vec<ReceiveMessageRequest> {
    (0..8).map(|i| human.text(line, &format!("text {i}"))).collect()
}

/// The one conversation of an identity with this human.
async fn conversation(app: &TestApp, identity: &Identity, human: &Human) -> Option<ConversationSummary> {
    let admin = app.admin(&identity.organization_id).await;
    let all = ListConversationsRequest { agent_identity_id: Some(identity.id.clone()), ..Default::default() };
    let listed = admin.list_conversations(all).await.unwrap().conversations;
    let mut of_human = listed.into_iter().filter(|conversation| conversation.remote_number == human.number);
    let conversation = of_human.next();
    assert!(of_human.next().is_none(), "two conversations of one identity and human");
    conversation
}

/// Asserts that the answers are STORED but for `others`, and gives how many are.
#[track_caller]
fn stored(answers: &[ReceiveMessageResponse], others: ReceiveOutcome) -> i32 {
    let stored = answers.iter().filter(|answer| answer.outcome() == ReceiveOutcome::Stored).count();
    let rest = answers.iter().filter(|answer| answer.outcome() == others).count();
    assert_eq!(stored + rest, answers.len(), "{answers:?}");
    i32::try_from(stored).unwrap()
}

#[tokio::test]
async fn first_messages_make_one_conversation_that_counts_them_all() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for round in 0..ROUNDS {
        let human = Human::new(&app, &format!("+1555123000{round}")).await;
        let thread = human.connects(&identity).await;
        let answers = at_once(&human, eight_texts(&human, &thread.line)).await;
        assert_eq!(stored(&answers, ReceiveOutcome::NotConnected), 8);
        let ids: BTreeSet<_> = answers.iter().map(|answer| &answer.conversation_id).collect();
        let listed = conversation(&app, &identity, &human).await.unwrap();
        assert_eq!(ids, BTreeSet::from([&Some(listed.id)]));
        assert_eq!((listed.total_count, listed.unread_count), (8, 8));
    }
}

#[tokio::test]
async fn one_text_delivered_eight_times_at_once_is_stored_once() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for round in 0..ROUNDS {
        let human = Human::new(&app, &format!("+1555123000{round}")).await;
        let thread = human.connects(&identity).await;
        // The first text of all, and one more to the conversation that is then there.
        for total in [1, 2] {
            let answers = at_once(&human, vec![human.text(&thread.line, "hello"); 8]).await;
            assert_eq!(stored(&answers, ReceiveOutcome::Duplicate), 1);
            let ids: BTreeSet<_> = answers.iter().map(|answer| &answer.message_id).collect();
            assert_eq!(ids.len(), 1, "{answers:?}");
            let listed = conversation(&app, &identity, &human).await.unwrap();
            assert_eq!((listed.total_count, listed.unread_count), (total, total));
        }
    }
}

/// Texts race with the release of their connection; afterwards totals equal what was answered STORED.
async fn release_among_texts(said_before: bool) {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    for round in 0..ROUNDS {
        let human = Human::new(&app, &format!("+1555123000{round}")).await;
        let thread = human.connects(&identity).await;
        if said_before {
            human.says(&thread, "hello").await;
        }
        let release = ReleaseConnectionRequest { connection_id: thread.connection_id.clone() };
        let mut texts = eight_texts(&human, &thread.line);
        let later = texts.split_off(4);
        let (earlier, (released, later)) =
            join(at_once(&human, texts), join(admin.release_connection(release), at_once(&human, later)))
                .await;
        released.unwrap();
        let answers = [earlier, later].concat();
        let stored = stored(&answers, ReceiveOutcome::NotConnected) + i32::from(said_before);
        let listed = conversation(&app, &identity, &human).await;
        assert_eq!(listed.as_ref().map_or(0, |listed| listed.total_count), stored);
        assert!(listed.is_none_or(|listed| listed.assignment_status() == AssignmentStatus::Released));
        assert_eq!(human.says(&thread, "too late").await.outcome(), ReceiveOutcome::NotConnected);
    }
    let rows = numbers(&app.pool, "SELECT count(*) FROM messages").await;
    let summed = numbers(&app.pool, "SELECT coalesce(sum(clear_total), 0)::bigint FROM conversations").await;
    assert_eq!(rows, summed);
}

#[tokio::test]
async fn texts_that_race_with_a_release_are_stored_or_not_connected() {
    release_among_texts(true).await;
}

#[tokio::test]
async fn first_texts_that_race_with_a_release_are_stored_or_not_connected() {
    release_among_texts(false).await;
}

#[tokio::test]
async fn texts_that_race_with_a_reconnect_stay_in_the_one_conversation() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for round in 0..ROUNDS {
        let human = Human::new(&app, &format!("+1555123000{round}")).await;
        let thread = human.connects(&identity).await;
        let reconnects = async {
            human.disconnects(&identity).await;
            human.connects(&identity).await
        };
        let (answers, again) = join(at_once(&human, eight_texts(&human, &thread.line)), reconnects).await;
        let stored = stored(&answers, ReceiveOutcome::NotConnected);
        let last = human.says(&again, "last").await;
        assert_eq!(last.outcome(), ReceiveOutcome::Stored);
        assert_eq!(last.connection_id, Some(again.connection_id.clone()));
        let listed = conversation(&app, &identity, &human).await.unwrap();
        assert_eq!((listed.total_count, &listed.assignment_id), (stored + 1, &again.connection_id));
    }
}

/// What decides is read before the text is stored, so that a rule may be acknowledged in between.
#[tokio::test]
async fn a_text_that_was_routed_before_a_rule_was_acknowledged_is_not_stored_as_if_there_were_none() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for (number, is_first) in [("+15551230001", true), ("+15551230002", false)] {
        let human = Human::new(&app, number).await;
        let thread = human.connects(&identity).await;
        let conversation_id =
            if is_first { None } else { human.says(&thread, "hello").await.conversation_id };
        rows::block(&app.pool, &identity, number).await;
        let new = |is_blocked| NewInbound {
            text: InboundText {
                line_number: thread.line.clone().into(),
                remote_number: number.to_owned().into(),
                text: Some("late".to_owned()),
                media: Vec::new(),
                provider_message_id: format!("late-{number}"),
                sent_at: app.clock.now(),
                transport: Transport::IMessage,
                chat: None,
                reply_to: None,
            },
            to: Destination {
                organization_id: "org_a".into(),
                identity_id: identity.id.parse::<Uuid>().unwrap().into(),
                connection_id: thread.connection_id.parse::<Uuid>().unwrap().into(),
            },
            message_id: app.clock.new_id().into(),
            new_conversation_id: app.clock.new_id().into(),
            reply_to: None,
            is_blocked,
            now: app.clock.now(),
        };
        let conversation_id = conversation_id.map(|id| id.parse::<Uuid>().unwrap().into());
        let before = conversation(&app, &identity, &human).await;
        let outcome = inbound::store(&app.parts.db, new(false), conversation_id).await.unwrap();
        assert!(matches!(outcome, AppendOutcome::Stale), "{outcome:?}");
        assert_eq!(conversation(&app, &identity, &human).await, before, "nothing is stored");
        let outcome = inbound::store(&app.parts.db, new(true), conversation_id).await.unwrap();
        assert!(matches!(outcome, AppendOutcome::Stored(_)), "{outcome:?}");
    }
}
