//! `SendMessage`.

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::domain::{IdempotencyKey, Principal, SendStyle};
use crate::error::Result;
use crate::grpc::wire::convert::message_for;
use crate::grpc::wire::request::Violations;
use crate::messaging::outbound::{self, Content, Reply, SendRequest, SendTarget, validate_idempotency_key};
use crate::proto::send_message_request::Target;
use crate::proto::{SendMessageRequest, SendMessageResponse};

fn parse(caller: &Principal, request: SendMessageRequest) -> Result<SendRequest> {
    let mut violations = Violations::default();
    let request_digest = digest(&request);
    let identity_id = violations.optional_id("agent_identity_id", request.agent_identity_id.as_deref());
    let target = match &request.target {
        None => {
            violations.add("target", "is required: set conversation_id or to");
            None
        }
        Some(Target::ConversationId(id)) => {
            violations.id("conversation_id", id).map(SendTarget::Conversation)
        }
        Some(Target::To(number)) => {
            if identity_id == Some(None) && caller.is_admin() {
                violations.add("agent_identity_id", "is required with an admin key and `to`");
            }
            violations.subscriber("to", number).map(SendTarget::Number)
        }
    };
    let content = Content::validate(&mut violations, request.text, request.media_urls);
    let send_style = violations.optional_enum(
        "send_style",
        request.send_style,
        |number| SendStyle::from_wire(number).map(Some),
        None,
    );
    let reply_to = violations.optional_id("reply_to_message_id", request.reply_to_message_id.as_deref());
    let key = match request.idempotency_key {
        None => Some(None),
        Some(key) => validate_idempotency_key(&mut violations, key).map(Some),
    };
    violations.finish(|| {
        Some(SendRequest {
            target: target?,
            identity_id: identity_id?,
            content: content?,
            send_style: send_style?,
            reply: reply_to?
                .map(|message_id| Reply { message_id, may_be_plain: request.plain_reply_fallback }),
            idempotency_key: key?.map(|key| IdempotencyKey { key, request_digest }),
        })
    })
}

/// The digest of what is to be sent: without the key itself, and without the identity, to which the key belongs.
fn digest(request: &SendMessageRequest) -> [u8; 32] {
    let content = SendMessageRequest { agent_identity_id: None, idempotency_key: None, ..request.clone() };
    Sha256::digest(content.encode_to_vec()).into()
}

pub(super) async fn send(
    app: &App,
    caller: &Principal,
    request: SendMessageRequest,
) -> Result<SendMessageResponse> {
    let request = parse(caller, request)?;
    let tenant = caller.require_tenant()?;
    let message = outbound::send(app, tenant, request).await?;
    Ok(SendMessageResponse { message: Some(message_for(tenant, message)) })
}
