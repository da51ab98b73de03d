//! A client with a method for every RPC, which sends an API key.

use inkbox_imessage::proto::*;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// A client of the service with the key of one caller. Cheap to clone: clones share a connection.
#[derive(Clone)]
pub struct Caller {
    pub channel: Channel,
    /// The secret of the API key.
    pub secret: Option<String>,
}

impl Caller {
    pub fn new(channel: Channel, secret: Option<String>) -> Self {
        Self { channel, secret }
    }

    /// A request with this caller's key.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(secret) = &self.secret {
            let value = AsciiMetadataValue::try_from(secret.as_str()).unwrap();
            request.metadata_mut().insert("x-api-key", value);
        }
        request
    }
}

macro_rules! rpcs {
    ($($rpc:ident: $module:ident::$client:ident, $request:ident => $response:ident;)+) => {
        impl Caller {
            $(
                /// Calls the RPC and returns the response message.
                pub async fn $rpc(&self, message: $request) -> Result<$response, Status> {
                    let mut client = $module::$client::new(self.channel.clone());
                    client.$rpc(self.request(message)).await.map(Response::into_inner)
                }
            )+
        }
    };
}

rpcs! {
    list_conversations: conversation_service_client::ConversationServiceClient, ListConversationsRequest => ListConversationsResponse;
    get_conversation: conversation_service_client::ConversationServiceClient, GetConversationRequest => GetConversationResponse;
    mark_conversation_read: conversation_service_client::ConversationServiceClient, MarkConversationReadRequest => MarkConversationReadResponse;
    send_typing_indicator: conversation_service_client::ConversationServiceClient, SendTypingIndicatorRequest => SendTypingIndicatorResponse;
    stop_typing_indicator: conversation_service_client::ConversationServiceClient, StopTypingIndicatorRequest => StopTypingIndicatorResponse;
    list_connections: connection_service_client::ConnectionServiceClient, ListConnectionsRequest => ListConnectionsResponse;
    release_connection: connection_service_client::ConnectionServiceClient, ReleaseConnectionRequest => ReleaseConnectionResponse;
    receive_message: router_service_client::RouterServiceClient, ReceiveMessageRequest => ReceiveMessageResponse;
    receive_reaction: router_service_client::RouterServiceClient, ReceiveReactionRequest => ReceiveReactionResponse;
    update_delivery_status: router_service_client::RouterServiceClient, UpdateDeliveryStatusRequest => UpdateDeliveryStatusResponse;
    get_router_number: router_service_client::RouterServiceClient, GetRouterNumberRequest => GetRouterNumberResponse;
    create_identity: identity_service_client::IdentityServiceClient, CreateIdentityRequest => CreateIdentityResponse;
    get_identity: identity_service_client::IdentityServiceClient, GetIdentityRequest => GetIdentityResponse;
    list_identities: identity_service_client::IdentityServiceClient, ListIdentitiesRequest => ListIdentitiesResponse;
    update_identity: identity_service_client::IdentityServiceClient, UpdateIdentityRequest => UpdateIdentityResponse;
    list_events: event_service_client::EventServiceClient, ListEventsRequest => ListEventsResponse;
    delete_identity: identity_service_client::IdentityServiceClient, DeleteIdentityRequest => DeleteIdentityResponse;
    create_api_key: api_key_service_client::ApiKeyServiceClient, CreateApiKeyRequest => CreateApiKeyResponse;
    list_api_keys: api_key_service_client::ApiKeyServiceClient, ListApiKeysRequest => ListApiKeysResponse;
    revoke_api_key: api_key_service_client::ApiKeyServiceClient, RevokeApiKeyRequest => RevokeApiKeyResponse;
    who_am_i: api_key_service_client::ApiKeyServiceClient, WhoAmIRequest => WhoAmIResponse;
    list_deliveries: sandbox_service_client::SandboxServiceClient, ListDeliveriesRequest => ListDeliveriesResponse;
    list_messages: message_service_client::MessageServiceClient, ListMessagesRequest => ListMessagesResponse;
    get_message: message_service_client::MessageServiceClient, GetMessageRequest => GetMessageResponse;
    send_message: message_service_client::MessageServiceClient, SendMessageRequest => SendMessageResponse;
    send_reaction: message_service_client::MessageServiceClient, SendReactionRequest => SendReactionResponse;
    remove_reaction: message_service_client::MessageServiceClient, RemoveReactionRequest => RemoveReactionResponse;
    list_contact_rules: contact_rule_service_client::ContactRuleServiceClient, ListContactRulesRequest => ListContactRulesResponse;
    get_contact_rule: contact_rule_service_client::ContactRuleServiceClient, GetContactRuleRequest => GetContactRuleResponse;
    create_contact_rule: contact_rule_service_client::ContactRuleServiceClient, CreateContactRuleRequest => CreateContactRuleResponse;
    update_contact_rule: contact_rule_service_client::ContactRuleServiceClient, UpdateContactRuleRequest => UpdateContactRuleResponse;
    delete_contact_rule: contact_rule_service_client::ContactRuleServiceClient, DeleteContactRuleRequest => DeleteContactRuleResponse;
}
