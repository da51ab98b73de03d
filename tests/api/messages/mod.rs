mod action_rate;
mod get;
mod list;
mod list_filters;
mod list_pages;
mod list_read_state;
mod list_times;
mod remove_reaction;
mod scene;
mod send;
mod send_cap;
mod send_idempotency;
mod send_ordering;
mod send_outcomes;
mod send_reaction;
mod send_refusals;
mod send_replies;

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::{
    Delivery, DeliveryKind, ListDeliveriesRequest, ListMessagesRequest, Message, SendMessageRequest,
};

use crate::support::callers::Caller;

/// A text to a conversation.
pub(crate) fn to_conversation(conversation_id: &str, text: &str) -> SendMessageRequest {
    SendMessageRequest {
        target: Some(Target::ConversationId(conversation_id.to_owned())),
        text: Some(text.to_owned()),
        ..Default::default()
    }
}

/// A text to a number, from the identity that is named.
pub(crate) fn to_number(number: &str, identity_id: Option<&str>, text: &str) -> SendMessageRequest {
    SendMessageRequest {
        target: Some(Target::To(number.to_owned())),
        text: Some(text.to_owned()),
        agent_identity_id: identity_id.map(str::to_owned),
        ..Default::default()
    }
}

/// The same, under an idempotency key.
pub(crate) fn keyed(request: SendMessageRequest, key: &str) -> SendMessageRequest {
    SendMessageRequest { idempotency_key: Some(key.to_owned()), ..request }
}

/// Sends a text that the line takes.
pub(crate) async fn send(caller: &Caller, conversation_id: &str, text: &str) -> Message {
    let answer = caller.send_message(to_conversation(conversation_id, text)).await;
    answer.unwrap().message.unwrap()
}

/// What the caller sees of a conversation, newest first.
pub(crate) async fn messages_of(caller: &Caller, conversation_id: &str) -> Vec<Message> {
    let request = ListMessagesRequest {
        conversation_id: Some(conversation_id.to_owned()),
        limit: Some(200),
        ..Default::default()
    };
    caller.list_messages(request).await.unwrap().messages
}

/// All that the caller sees, newest first.
pub(crate) async fn all_messages(caller: &Caller) -> Vec<Message> {
    let request = ListMessagesRequest { limit: Some(200), ..Default::default() };
    caller.list_messages(request).await.unwrap().messages
}

/// The texts of messages.
pub(crate) fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_deref().unwrap_or_default()).collect()
}

/// What reached the sandbox line for an organization.
pub(crate) async fn deliveries(admin: &Caller) -> Vec<Delivery> {
    admin.list_deliveries(ListDeliveriesRequest::default()).await.unwrap().deliveries
}

/// Kinds and texts of what reached the sandbox line for a conversation.
pub(crate) async fn delivered(admin: &Caller, conversation_id: &str) -> Vec<(DeliveryKind, Option<String>)> {
    let request =
        ListDeliveriesRequest { conversation_id: Some(conversation_id.to_owned()), ..Default::default() };
    let answer = admin.list_deliveries(request).await.unwrap();
    answer.deliveries.into_iter().map(|delivery| (delivery.kind(), delivery.text)).collect()
}
