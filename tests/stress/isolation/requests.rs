//! For each RPC, requests that the caller's own tenant could make: the ground on which one field at a time is set to
//! something of another's. In protobuf's JSON.

use serde_json::{Value, json};

use crate::isolation::contract::{Kind, Meaning, Rpc};
use crate::isolation::tenant::{HUMANS, Tenant};

/// A request's message.
pub type Request = Value;

/// The requests of an RPC by its own tenant, without any field wrong. A new RPC needs a line here.
pub fn of(rpc: &Rpc, own: &Tenant) -> Vec<Request> {
    let id = |kind| own.live(kind).to_owned();
    let (identity, conversation) = (id(Kind::Identity), id(Kind::Conversation));
    match rpc.name.as_str() {
        "EventService/WatchEvents"
        | "EventService/ListEvents"
        | "ConversationService/ListConversations"
        | "ConnectionService/ListConnections"
        | "ContactRuleService/ListContactRules"
        | "MessageService/ListMessages"
        | "IdentityService/ListIdentities"
        | "ApiKeyService/ListApiKeys"
        | "ApiKeyService/WhoAmI"
        | "SandboxService/ListDeliveries"
        | "RouterService/GetRouterNumber" => vec![json!({})],
        "ConversationService/MarkConversationRead" => vec![
            json!({ "conversation_id": conversation }),
            json!({ "conversation_id": conversation, "up_to_message_id": id(Kind::Message) }),
        ],
        "ConversationService/GetConversation"
        | "ConversationService/SendTypingIndicator"
        | "ConversationService/StopTypingIndicator" => {
            vec![json!({ "conversation_id": conversation })]
        }
        "ConnectionService/ReleaseConnection" => vec![json!({ "connection_id": id(Kind::Connection) })],
        "MessageService/GetMessage" => vec![json!({ "message_id": id(Kind::Message) })],
        "MessageService/SendMessage" => vec![
            json!({ "conversation_id": conversation, "text": "hi" }),
            json!({ "conversation_id": conversation, "text": "hi", "idempotency_key": own.handle() }),
            json!({ "to": HUMANS[0], "agent_identity_id": identity, "text": "hi" }),
        ],
        "MessageService/SendReaction" => {
            vec![json!({ "message_id": id(Kind::Message), "reaction": "REACTION_TYPE_LOVE" })]
        }
        "MessageService/RemoveReaction" => vec![json!({ "reaction_id": id(Kind::Reaction) })],
        "ContactRuleService/GetContactRule" | "ContactRuleService/DeleteContactRule" => {
            vec![json!({ "contact_rule_id": id(Kind::ContactRule) })]
        }
        "ContactRuleService/CreateContactRule" => vec![json!({
            "agent_identity_id": identity, "action": "CONTACT_RULE_ACTION_BLOCK", "match_target": "+15559990000",
        })],
        "ContactRuleService/UpdateContactRule" => vec![json!({
            "contact_rule_id": id(Kind::ContactRule), "action": "CONTACT_RULE_ACTION_ALLOW",
        })],
        "IdentityService/GetIdentity" | "IdentityService/DeleteIdentity" => {
            vec![json!({ "identity_id": identity })]
        }
        "IdentityService/CreateIdentity" => vec![json!({ "agent_handle": "a-new-one" })],
        "IdentityService/UpdateIdentity" => vec![json!({ "identity_id": identity, "display_name": "other" })],
        "ApiKeyService/CreateApiKey" => vec![json!({ "agent_identity_id": identity, "label": "new" })],
        "ApiKeyService/RevokeApiKey" => vec![json!({ "api_key_id": id(Kind::ApiKey) })],
        "RouterService/ReceiveMessage" => vec![json!({
            "line_number": "+19995550000", "remote_number": "+15559990000", "text": "hi", "provider_message_id": "x",
        })],
        "RouterService/ReceiveReaction" => vec![json!({
            "line_number": "+19995550000", "remote_number": "+15559990000", "target_provider_message_id": "x",
            "reaction": "REACTION_TYPE_LOVE",
        })],
        "RouterService/UpdateDeliveryStatus" => vec![json!({
            "line_number": "+19995550000", "provider_message_id": "x", "status": "DELIVERY_STATUS_SENT",
        })],
        other => panic!("no requests for {other}: give it a line, so that its ids are tried as well"),
    }
}

/// The same request with some fields set to other values.
pub fn with(request: &Request, values: &[(&str, &str)]) -> Request {
    let mut request = request.clone();
    for (field, value) in values {
        request[field] = json!(value);
    }
    request
}

/// The fields of a request that can be set to something of another's, given what is in it: of a `oneof` the one member
/// that is set.
pub fn open_fields(rpc: &Rpc, request: &Request) -> Vec<(String, Meaning)> {
    let is_open = |name: &str| {
        let field = rpc.request.get_field_by_name(name).unwrap();
        let Some(oneof) = field.containing_oneof() else { return true };
        oneof.fields().all(|member| member.name() == name || request.get(member.name()).is_none())
    };
    rpc.naming_fields().into_iter().filter(|(name, _)| is_open(name)).collect()
}
