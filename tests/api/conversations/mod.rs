//! `ConversationService`, and what its tests look at again and again.

mod get;
mod list;
mod list_page_tokens;
mod list_pages;
mod list_previews;
mod list_scope;
mod list_times;
mod list_views;
mod mark_read;
mod mark_read_concurrent;
mod mark_read_up_to;
mod phone_calls;
mod send_typing;
mod stop_typing;
mod typing_duration;

use chrono::{DateTime, Utc};
use inkbox_imessage::proto::{
    ConversationSummary, Delivery, Identity, ListConversationsRequest, ListDeliveriesRequest,
    MarkConversationReadRequest, MarkConversationReadResponse, ReceiveMessageRequest, ReceiveMessageResponse,
    ReceiveOutcome,
};
use prost_types::Timestamp;
use tonic::Status;

use crate::support::callers::Caller;
use crate::support::human::Thread;
use crate::support::{Human, TestApp, rows};

/// The conversations that a caller sees in a view, in their order.
async fn listed(caller: &Caller, is_blocked: Option<bool>) -> Vec<ConversationSummary> {
    let request = ListConversationsRequest { is_blocked, ..Default::default() };
    caller.list_conversations(request).await.unwrap().conversations
}

/// The one conversation that a caller sees in a view.
async fn only(caller: &Caller, is_blocked: Option<bool>) -> ConversationSummary {
    let mut rows = listed(caller, is_blocked).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

/// The humans of some conversations, in their order.
fn numbers(rows: &[ConversationSummary]) -> Vec<&str> {
    rows.iter().map(|row| row.remote_number.as_str()).collect()
}

/// What reached the line of a conversation, as its admin sees it.
async fn deliveries(admin: &Caller, id: &str) -> Vec<Delivery> {
    let request = ListDeliveriesRequest { conversation_id: Some(id.to_owned()), ..Default::default() };
    admin.list_deliveries(request).await.unwrap().deliveries
}

/// A call of `MarkConversationRead` that a task can make.
fn mark_read(
    caller: &Caller,
    id: &str,
) -> impl Future<Output = Result<MarkConversationReadResponse, Status>> + Send + 'static {
    let (caller, conversation_id) = (caller.clone(), id.to_owned());
    async move {
        caller
            .mark_conversation_read(MarkConversationReadRequest { conversation_id, ..Default::default() })
            .await
    }
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap();
    Timestamp { seconds: time.timestamp(), nanos }
}

/// A text that the identity's rules block; they let the human through again afterwards.
async fn receive_blocked(
    app: &TestApp,
    identity: &Identity,
    human: &Human,
    text: ReceiveMessageRequest,
) -> ReceiveMessageResponse {
    rows::block(&app.pool, identity, &human.number).await;
    let answer = human.router.receive_message(text).await.unwrap();
    assert_eq!(answer.outcome(), ReceiveOutcome::StoredBlocked, "{answer:?}");
    rows::remove_rules(&app.pool, identity).await;
    answer
}

/// [`receive_blocked`] of plain words.
pub(crate) async fn says_blocked(
    app: &TestApp,
    identity: &Identity,
    human: &Human,
    thread: &Thread,
    words: &str,
) {
    receive_blocked(app, identity, human, human.text(&thread.line, words)).await;
}
