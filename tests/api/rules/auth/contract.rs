//! One table over every RPC of the contract. To add an RPC: give it a line with the keys that may call it and a request
//! that every check of form lets through.

use std::collections::BTreeSet;

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::*;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use uuid::Uuid;

/// The contract's package.
const PACKAGE: &str = "inkbox.imessage.v1";
/// Which keys may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    Any,
    Admin,
    AdminOrIdentity,
    Router,
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Rpc {
    /// `/package.Service/Rpc`.
    pub(super) path: String,
    pub(super) keys: Keys,
    /// A request without a wrong field. What it names does not exist.
    pub(super) request: Vec<u8>,
}

impl Rpc {
    /// `package.Service`.
    pub(super) fn service(&self) -> &str {
        self.path[1..].split_once('/').unwrap().0
    }
}

fn rpc(name: &str, keys: Keys, request: &impl prost::Message) -> Rpc {
    Rpc { path: format!("/{PACKAGE}.{name}"), keys, request: request.encode_to_vec() }
}

/// Every RPC.
pub(super) fn table() -> Vec<Rpc> {
    use Keys::{Admin, AdminOrIdentity, Any, Router};

    let id = Uuid::from_u128(1).to_string();
    let number = "+15551230001".to_owned();
    let text = ReceiveMessageRequest {
        line_number: number.clone(),
        remote_number: number.clone(),
        text: Some("hello".to_owned()),
        provider_message_id: "text-1".to_owned(),
        ..Default::default()
    };
    let reaction = ReceiveReactionRequest {
        line_number: number.clone(),
        remote_number: number.clone(),
        target_provider_message_id: "text-1".to_owned(),
        reaction: ReactionType::Love.into(),
        ..Default::default()
    };
    let news = UpdateDeliveryStatusRequest {
        line_number: number.clone(),
        provider_message_id: "text-1".to_owned(),
        status: DeliveryStatus::Delivered.into(),
        ..Default::default()
    };
    let message = SendMessageRequest {
        target: Some(Target::ConversationId(id.clone())),
        text: Some("hello".to_owned()),
        ..Default::default()
    };
    let react =
        SendReactionRequest { message_id: id.clone(), reaction: ReactionType::Love.into(), part_index: 0 };
    let rule = CreateContactRuleRequest {
        agent_identity_id: Some(id.clone()),
        action: ContactRuleAction::Block.into(),
        match_target: number.clone(),
    };
    let change = UpdateContactRuleRequest {
        contact_rule_id: id.clone(),
        action: ContactRuleAction::Allow.into(),
        ..Default::default()
    };
    let identity = CreateIdentityRequest { agent_handle: "handle".to_owned(), ..Default::default() };
    let update = UpdateIdentityRequest { identity_id: id.clone(), ..Default::default() };
    let key = CreateApiKeyRequest { agent_identity_id: id.clone(), ..Default::default() };
    let get = GetConversationRequest { conversation_id: id.clone(), agent_identity_id: None };
    // A stream that begins does not end by itself.
    let watch = WatchEventsRequest { conversation_id: Some(id.clone()), ..Default::default() };
    vec![
        rpc("ConversationService/ListConversations", AdminOrIdentity, &ListConversationsRequest::default()),
        rpc("ConversationService/GetConversation", AdminOrIdentity, &get),
        rpc(
            "ConversationService/MarkConversationRead",
            AdminOrIdentity,
            &MarkConversationReadRequest { conversation_id: id.clone(), ..Default::default() },
        ),
        rpc(
            "ConversationService/SendTypingIndicator",
            AdminOrIdentity,
            &SendTypingIndicatorRequest { conversation_id: id.clone(), ..Default::default() },
        ),
        rpc(
            "ConversationService/StopTypingIndicator",
            AdminOrIdentity,
            &StopTypingIndicatorRequest { conversation_id: id.clone() },
        ),
        rpc("ConnectionService/ListConnections", AdminOrIdentity, &ListConnectionsRequest::default()),
        rpc(
            "ConnectionService/ReleaseConnection",
            Admin,
            &ReleaseConnectionRequest { connection_id: id.clone() },
        ),
        rpc("MessageService/ListMessages", AdminOrIdentity, &ListMessagesRequest::default()),
        rpc(
            "MessageService/GetMessage",
            AdminOrIdentity,
            &GetMessageRequest { message_id: id.clone(), agent_identity_id: None },
        ),
        rpc("MessageService/SendMessage", AdminOrIdentity, &message),
        rpc("MessageService/SendReaction", AdminOrIdentity, &react),
        rpc(
            "MessageService/RemoveReaction",
            AdminOrIdentity,
            &RemoveReactionRequest { reaction_id: id.clone() },
        ),
        rpc("ContactRuleService/ListContactRules", AdminOrIdentity, &ListContactRulesRequest::default()),
        rpc(
            "ContactRuleService/GetContactRule",
            AdminOrIdentity,
            &GetContactRuleRequest { contact_rule_id: id.clone() },
        ),
        rpc("ContactRuleService/CreateContactRule", AdminOrIdentity, &rule),
        rpc("ContactRuleService/UpdateContactRule", Admin, &change),
        rpc(
            "ContactRuleService/DeleteContactRule",
            Admin,
            &DeleteContactRuleRequest { contact_rule_id: id.clone() },
        ),
        rpc("RouterService/ReceiveMessage", Router, &text),
        rpc("RouterService/ReceiveReaction", Router, &reaction),
        rpc("RouterService/UpdateDeliveryStatus", Router, &news),
        rpc("RouterService/GetRouterNumber", Any, &GetRouterNumberRequest {}),
        rpc("EventService/WatchEvents", AdminOrIdentity, &watch),
        rpc("EventService/ListEvents", AdminOrIdentity, &ListEventsRequest::default()),
        rpc("IdentityService/CreateIdentity", Admin, &identity),
        rpc(
            "IdentityService/GetIdentity",
            AdminOrIdentity,
            &GetIdentityRequest { identity_id: id.clone(), ..Default::default() },
        ),
        rpc("IdentityService/ListIdentities", Admin, &ListIdentitiesRequest::default()),
        rpc("IdentityService/UpdateIdentity", Admin, &update),
        rpc("IdentityService/DeleteIdentity", Admin, &DeleteIdentityRequest { identity_id: id.clone() }),
        rpc("ApiKeyService/CreateApiKey", Admin, &key),
        rpc("ApiKeyService/ListApiKeys", Admin, &ListApiKeysRequest::default()),
        rpc("ApiKeyService/RevokeApiKey", Admin, &RevokeApiKeyRequest { api_key_id: id }),
        rpc("ApiKeyService/WhoAmI", Any, &WhoAmIRequest {}),
        rpc("SandboxService/ListDeliveries", Admin, &ListDeliveriesRequest::default()),
    ]
}

#[test]
fn the_table_has_every_rpc_of_the_contract_and_no_other() {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    let services = files.iter().filter(|file| file.package() == PACKAGE).flat_map(|file| &file.service);
    let contract: BTreeSet<String> = services
        .flat_map(|service| {
            service.method.iter().map(|rpc| format!("/{PACKAGE}.{}/{}", service.name(), rpc.name()))
        })
        .collect();
    let told: BTreeSet<String> = table().into_iter().map(|rpc| rpc.path).collect();
    assert_eq!(told, contract);
}
