//! Conversations with rows of every kind, or with many messages.

use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{
    Identity, Media, ReactionType, ReceiveMessageRequest, ReceiveReactionRequest, SendMessageRequest,
    SendReactionRequest, send_message_request::Target,
};
use uuid::Uuid;

use super::callers::Caller;
use super::human::Thread;
use super::{Human, TestApp, rows};

/// The content of a conversation.
pub struct History {
    pub thread: Thread,
    pub conversation_id: String,
    /// The first text, as delivered by the carrier.
    pub first: ReceiveMessageRequest,
    /// The id of the stored message.
    pub first_id: String,
    /// A send with an idempotency key.
    pub sent: SendMessageRequest,
    /// The id of the stored message.
    pub sent_id: String,
}

impl History {
    /// Creates a text with a file, a blocked text, an answer, and tapbacks in both directions.
    pub async fn between(app: &TestApp, human: &Human, identity: &Identity) -> Self {
        let admin = app.admin(&identity.organization_id).await;
        let thread = human.connects(identity).await;
        let mut first = human.text(&thread.line, "a first text");
        first.media = vec![Media { url: "https://media.example/1".to_owned(), ..Default::default() }];
        let stored = human.router.receive_message(first.clone()).await.unwrap();
        let (conversation_id, first_id) = (stored.conversation_id.unwrap(), stored.message_id.unwrap());
        rows::block(&app.pool, identity, &human.number).await;
        human.says(&thread, "a blocked text").await;
        rows::remove_rules(&app.pool, identity).await;
        let sent = SendMessageRequest {
            target: Some(Target::ConversationId(conversation_id.clone())),
            text: Some("an answer".to_owned()),
            idempotency_key: Some(format!("key-{conversation_id}")),
            ..Default::default()
        };
        let sent_id = admin.send_message(sent.clone()).await.unwrap().message.unwrap().id;
        Self::react(&admin, human, &thread, &first, &first_id).await;
        Self { thread, conversation_id, first, first_id, sent, sent_id }
    }

    async fn react(
        admin: &Caller,
        human: &Human,
        thread: &Thread,
        first: &ReceiveMessageRequest,
        first_id: &str,
    ) {
        let ours = SendReactionRequest {
            message_id: first_id.to_owned(),
            reaction: ReactionType::Love.into(),
            part_index: 0,
        };
        admin.send_reaction(ours).await.unwrap();
        let theirs = ReceiveReactionRequest {
            line_number: thread.line.clone(),
            remote_number: human.number.clone(),
            target_provider_message_id: first.provider_message_id.clone(),
            reaction: ReactionType::Custom.into(),
            custom_emoji: Some("🦀".to_owned()),
            ..Default::default()
        };
        human.router.receive_reaction(theirs).await.unwrap();
    }
}

/// Adds this many unread texts to a conversation, all received now.
pub async fn add_texts(app: &TestApp, conversation_id: &str, count: i32) {
    let ids: Vec<Uuid> = (0..count).map(|_| app.clock.new_id()).collect();
    // Two statements instead of one, because a distributed database does not support the combination.
    let mut transaction = app.pool.begin().await.unwrap();
    let summary = "
        UPDATE conversations SET clear_total = clear_total + $2, clear_received = clear_received + $2,
            latest_at = $3, clear_latest_at = $3, clear_latest_id = $4, clear_latest_direction = 1,
            clear_latest_text = 'more', clear_latest_has_media = false, blocked_is_latest = false
        WHERE id = $1
        RETURNING organization_id, agent_identity_id, assignment_id, clear_received";
    let id = Uuid::try_parse(conversation_id).unwrap();
    let now = app.clock.now();
    let (organization, identity, connection, received): (String, Uuid, Uuid, i32) = sqlx::query_as(summary)
        .bind(id)
        .bind(count)
        .bind(now)
        .bind(ids.last())
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    let line: String =
        sqlx::query_scalar("SELECT line_number FROM connections WHERE organization_id = $1 AND id = $2")
            .bind(&organization)
            .bind(connection)
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
    let texts = "
        INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                              provider_message_id, direction, received_number, is_blocked, text, transport, status,
                              created_at, updated_at)
        SELECT $1, n.id, $2, $3, $4, $5, n.id::text, 1, $6 + n.number, false, 'more', 1, 9, $7, $7
        FROM unnest($8::uuid[]) WITH ORDINALITY AS n (id, number)";
    sqlx::query(texts)
        .bind(&organization)
        .bind(id)
        .bind(identity)
        .bind(connection)
        .bind(&line)
        .bind(received - count)
        .bind(now)
        .bind(&ids)
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}
