//! Rows that an earlier version stored under another form of a number are merged with those of the canonical one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::verify;
use inkbox_imessage::proto::{
    Connection, ContactRuleAction, ContactRuleStatus, Identity, ListConnectionsRequest,
    ListContactRulesRequest, ListConversationsRequest, ListMessagesRequest, MarkConversationReadRequest,
    ReceiveOutcome,
};
use sqlx::{AssertSqlSafe, PgPool, raw_sql};

use super::names;
use crate::messages::{deliveries, messages_of, send, texts, to_number};
use crate::support::callers::Caller;
use crate::support::history::History;
use crate::support::{Human, TestApp, assert_reason, rows};

const CANONICAL: &str = "+525512345678";
const FORMER: &str = "+5215512345678";
/// Under this number a human writes whose rows then get the former form.
const BEFORE: &str = "+15551239999";

/// Gives the rows of [`BEFORE`] the former form, as an earlier version would have stored them.
async fn make_former(pool: &PgPool) {
    let sql = [
        ("routes", "remote_number"),
        ("routed_organizations", "remote_number"),
        ("connections", "remote_number"),
        ("conversations", "remote_number"),
        ("contact_rules", "match_target"),
    ]
    .map(|(table, column)| format!("UPDATE {table} SET {column} = '{FORMER}' WHERE {column} = '{BEFORE}'"))
    .join(";");
    raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

async fn repair(app: &TestApp) -> u64 {
    let repaired = verify::repair(&app.options, app.clock.now()).await.unwrap();
    repaired.into_iter().map(|repaired| repaired.count).sum()
}

async fn assert_clean_and_stable(app: &TestApp) {
    let report = super::verify(app, &app.options).await;
    assert_eq!(report.violations, []);
    assert_eq!(repair(app).await, 0, "a second repair changes nothing");
}

async fn connections_of(agent: &Caller) -> Vec<Connection> {
    agent.list_connections(ListConnectionsRequest::default()).await.unwrap().connections
}

async fn unread(agent: &Caller) -> Vec<String> {
    let request = ListMessagesRequest { is_read: Some(false), ..Default::default() };
    let messages = agent.list_messages(request).await.unwrap().messages;
    messages.into_iter().map(|message| message.text.unwrap_or_default()).collect()
}

#[tokio::test]
async fn rows_in_a_former_form_get_the_canonical_number() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let history = History::between(&app, &Human::new(&app, BEFORE).await, &identity).await;
    rows::block(&app.pool, &identity, BEFORE).await;
    make_former(&app.pool).await;
    let report = super::verify(&app, &app.options).await;
    assert_eq!(
        names(&report),
        ["the number of a connection is canonical", "the number of a contact rule is canonical"]
    );
    assert!(repair(&app).await > 0);
    assert_clean_and_stable(&app).await;

    let connection = connections_of(&agent).await.remove(0);
    assert_eq!(
        (connection.id, connection.remote_number.as_str()),
        (history.thread.connection_id.clone(), CANONICAL)
    );
    let human = Human::new(&app, FORMER).await;
    let answer = human.says(&history.thread, "hidden").await;
    assert_eq!(answer.outcome(), ReceiveOutcome::StoredBlocked, "the rule holds");
    assert_eq!(answer.conversation_id, Some(history.conversation_id));
}

#[tokio::test]
async fn until_the_repair_a_human_in_a_former_form_is_reached_and_heard() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let (thread, id) = Human::new(&app, BEFORE).await.converses(&identity, "hello").await;
    make_former(&app.pool).await;
    for number in [CANONICAL, FORMER] {
        let answer = Human::new(&app, number).await.says(&thread, "again").await;
        assert_eq!((answer.outcome(), answer.conversation_id.as_ref()), (ReceiveOutcome::Stored, Some(&id)));
        let sent = agent.send_message(to_number(number, None, "hi")).await.unwrap().message.unwrap();
        assert_eq!(sent.conversation_id, id);
    }
}

/// A human with a conversation under each form, of which the former one is older.
struct Twice {
    app: TestApp,
    identity: Identity,
    agent: Caller,
    older: History,
    newer: History,
}

impl Twice {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let identity = app.identity("org_a").await;
        let agent = app.agent(&identity).await;
        let older = History::between(&app, &Human::new(&app, BEFORE).await, &identity).await;
        let newer = History::between(&app, &Human::new(&app, CANONICAL).await, &identity).await;
        Self { app, identity, agent, older, newer }
    }

    async fn mark_read(&self, conversation_id: &str) {
        let mark =
            MarkConversationReadRequest { conversation_id: conversation_id.to_owned(), ..Default::default() };
        self.agent.mark_conversation_read(mark).await.unwrap();
    }
}

#[tokio::test]
async fn two_conversations_of_one_human_become_one_without_loss() {
    let twice = Twice::start().await;
    let Twice { app, agent, older, newer, .. } = &twice;
    let admin = app.admin("org_a").await;
    let (human, former) = (Human::new(app, CANONICAL).await, Human::new(app, BEFORE).await);
    twice.mark_read(&newer.conversation_id).await;
    human.says(&newer.thread, "unread of the newer").await;
    former.says(&older.thread, "unread of the older").await;
    let mut before = messages_of(&admin, &older.conversation_id).await;
    before.extend(messages_of(&admin, &newer.conversation_id).await);
    let unread_before = unread(agent).await;
    make_former(&app.pool).await;
    assert!(repair(app).await > 0);
    assert_clean_and_stable(app).await;

    let mut after = messages_of(&admin, &older.conversation_id).await;
    let by_id = |one: &inkbox_imessage::proto::Message, other: &inkbox_imessage::proto::Message| {
        one.id.cmp(&other.id)
    };
    before.sort_by(by_id);
    after.sort_by(by_id);
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter_mut().zip(&after) {
        before.conversation_id.clone_from(&older.conversation_id);
        CANONICAL.clone_into(&mut before.remote_number);
        for reaction in &mut before.reactions {
            reaction.conversation_id.clone_from(&older.conversation_id);
            CANONICAL.clone_into(&mut reaction.remote_number);
        }
        assert_eq!(before, after, "nothing else of a message changes");
    }
    assert_eq!(unread(agent).await, unread_before, "what was unread is unread, and nothing else");
    let list = agent.list_conversations(ListConversationsRequest::default()).await.unwrap().conversations;
    let [conversation] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!((&conversation.id, conversation.remote_number.as_str()), (&older.conversation_id, CANONICAL));
    assert_eq!(usize::try_from(conversation.unread_count).unwrap(), unread_before.len());

    let repeated = admin.send_message(newer.sent.clone()).await;
    assert_reason(repeated, "NOT_FOUND");
    let mut again = newer.sent.clone();
    again.idempotency_key = None;
    again.target = older.sent.target.clone();
    admin.send_message(again).await.unwrap();
    let repeated = admin.send_message(older.sent.clone()).await.unwrap().message.unwrap();
    assert_eq!(repeated.id, older.sent_id, "an idempotency key is remembered");
}

#[tokio::test]
async fn of_two_active_connections_the_newer_stays() {
    let Twice { app, identity, agent, newer, older } = Twice::start().await;
    make_former(&app.pool).await;
    repair(&app).await;
    assert_clean_and_stable(&app).await;
    let connections = connections_of(&agent).await;
    let [connection] = connections.as_slice() else { panic!("{connections:?}") };
    assert_eq!(connection.id, newer.thread.connection_id);
    for number in [CANONICAL, FORMER] {
        let human = Human::new(&app, number).await;
        let answer = human.says(&newer.thread, "hello").await;
        assert_eq!(answer.conversation_id.as_ref(), Some(&older.conversation_id));
        assert_eq!(human.says(&older.thread, "hello").await.outcome(), ReceiveOutcome::NotConnected);
    }
    send(&agent, &older.conversation_id, "hi").await;
    let sent = deliveries(&app.admin("org_a").await).await;
    assert_eq!(sent.last().unwrap().remote_number, CANONICAL);
    Human::new(&app, FORMER).await.disconnects(&identity).await;
}

#[tokio::test]
async fn an_opt_out_of_either_conversation_holds() {
    let Twice { app, agent, older, .. } = Twice::start().await;
    Human::new(&app, BEFORE).await.says(&older.thread, "STOP").await;
    make_former(&app.pool).await;
    repair(&app).await;
    assert_clean_and_stable(&app).await;
    assert_reason(agent.send_message(to_number(CANONICAL, None, "hi")).await, "RECIPIENT_OPTED_OUT");
}

#[tokio::test]
async fn of_two_contact_rules_the_block_stays() {
    let app = TestApp::start().await;
    let (one, other) = (app.identity("org_a").await, app.identity("org_a").await);
    let (allow, active) = (ContactRuleAction::Allow, ContactRuleStatus::Active);
    rows::block(&app.pool, &one, BEFORE).await;
    rows::contact_rule(&app.pool, &one, CANONICAL, allow, active).await;
    rows::contact_rule(&app.pool, &other, BEFORE, allow, active).await;
    rows::block(&app.pool, &other, CANONICAL).await;
    make_former(&app.pool).await;
    repair(&app).await;
    assert_clean_and_stable(&app).await;
    for identity in [&one, &other] {
        let request = ListContactRulesRequest::default();
        let rules = app.agent(identity).await.list_contact_rules(request).await.unwrap().contact_rules;
        let [rule] = rules.as_slice() else { panic!("{rules:?}") };
        assert_eq!((rule.match_target.as_str(), rule.action()), (CANONICAL, ContactRuleAction::Block));
    }
}

#[tokio::test]
async fn a_line_with_another_agent_of_the_human_is_not_shared() {
    let app = TestApp::start().await;
    let (one, other) = (app.identity("org_a").await, app.identity("org_b").await);
    let (former, _) = Human::new(&app, BEFORE).await.converses(&one, "to the one").await;
    let human = Human::new(&app, CANONICAL).await;
    let (taken, to_other) = human.converses(&other, "to the other").await;
    // The least loaded line is taken first; both humans may have the same line, being two numbers.
    if former.line != taken.line {
        let sql = format!(
            "UPDATE routes SET line_number = '{0}' WHERE remote_number = '{BEFORE}';
             UPDATE routed_organizations SET line_number = '{0}' WHERE remote_number = '{BEFORE}';
             UPDATE connections SET line_number = '{0}' WHERE remote_number = '{BEFORE}';
             UPDATE messages SET line_number = '{0}' WHERE text = 'to the one';
             UPDATE lines SET active_connections = active_connections + 1 WHERE number = '{0}';
             UPDATE lines SET active_connections = active_connections - 1 WHERE number = '{1}'",
            taken.line, former.line
        );
        raw_sql(AssertSqlSafe(sql)).execute(&app.pool).await.unwrap();
    }
    make_former(&app.pool).await;
    repair(&app).await;
    assert_clean_and_stable(&app).await;
    assert_eq!(human.says(&taken, "still here").await.conversation_id, Some(to_other));
    assert_eq!(connections_of(&app.agent(&one).await).await, [], "the human has to connect again");
    human.connects(&one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn texts_and_sends_during_the_repair_are_kept_once() {
    let Twice { app, identity, agent, older, newer } = Twice::start().await;
    make_former(&app.pool).await;
    let app = Arc::new(app);
    let is_done = Arc::new(AtomicBool::new(false));
    let speaking: Vec<_> = [(CANONICAL, &newer), (FORMER, &newer), (FORMER, &older)]
        .into_iter()
        .map(|(number, history)| {
            let (app, agent, is_done) = (app.clone(), agent.clone(), is_done.clone());
            let thread = history.thread.clone();
            tokio::spawn(async move {
                let human = Human::new(&app, number).await;
                let mut stored = Vec::new();
                while !is_done.load(Ordering::Relaxed) {
                    stored.extend(human.says(&thread, "during the repair").await.message_id);
                    if let Ok(sent) = agent.send_message(to_number(number, None, "an answer")).await {
                        stored.extend(sent.message.map(|message| message.id));
                    }
                }
                stored
            })
        })
        .collect();
    // A repair that meets a concurrent change leaves it for the next one.
    for _ in 0..20 {
        repair(&app).await;
    }
    is_done.store(true, Ordering::Relaxed);
    let mut stored = Vec::new();
    for speaking in speaking {
        stored.extend(speaking.await.unwrap());
    }
    repair(&app).await;
    assert_clean_and_stable(&app).await;
    let list =
        app.agent(&identity).await.list_conversations(ListConversationsRequest::default()).await.unwrap();
    assert_eq!(list.conversations.len(), 1);
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT id::text FROM messages").fetch_all(&app.pool).await.unwrap();
    for id in &stored {
        assert_eq!(kept.iter().filter(|kept| *kept == id).count(), 1);
    }
    let texts_kept = texts(&messages_of(&agent, &older.conversation_id).await).len();
    assert!(texts_kept > 4 || stored.is_empty());
}
