//! `SendMessage`.

use std::time::Duration;

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::media_url;
use crate::app::App;
use crate::carriers::CarrierError;
use crate::domain::{
    ConversationId, DeliveryStatus, IdentityId, Ineligible, Media, PhoneNumber, Principal, SendStyle,
    TEXT_LIMIT, Tenant, View,
};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::{Caller as _, is_admin, listed_identity};
use crate::messaging::outbound::{self, Sent};
use crate::proto::send_message_request::Target;
use crate::proto::{self, SendMessageRequest, SendMessageResponse};
use crate::store;
use crate::store::conversations::{ContactTarget, Recipient};
use crate::store::messages::NewOutbound;

/// The longest idempotency key, in characters.
const IDEMPOTENCY_KEY_LIMIT: usize = 255;

struct Parsed {
    target: ParsedTarget,
    text: Option<String>,
    media: Option<Media>,
    send_style: Option<SendStyle>,
    identity_id: Option<IdentityId>,
    idempotency: Option<(String, [u8; 32])>,
}

enum ParsedTarget {
    Conversation(ConversationId),
    To(PhoneNumber),
}

fn parse(caller: &Principal, message: SendMessageRequest) -> Result<Parsed> {
    let mut fields = Violations::default();
    let digest = digest(&message);
    let identity_id = fields.optional_id("agent_identity_id", message.agent_identity_id.as_deref());
    let target = match &message.target {
        None => {
            fields.add("target", "is required: set conversation_id or to");
            None
        }
        Some(Target::ConversationId(id)) => fields.id("conversation_id", id).map(ParsedTarget::Conversation),
        Some(Target::To(number)) => {
            if identity_id == Some(None) && is_admin(caller) {
                fields.add("agent_identity_id", "is required with an admin key and `to`");
            }
            fields.phone_number("to", number).map(ParsedTarget::To)
        }
    };
    if message.text.as_ref().is_none_or(String::is_empty) && message.media_urls.is_empty() {
        fields.add("text", "is required if there is no media");
    }
    let text = match message.text {
        None => Some(None),
        Some(text) => fields.text("text", text, TEXT_LIMIT).map(Some),
    };
    let media = media_url::parse(&mut fields, message.media_urls);
    let send_style = fields.optional_enum(
        "send_style",
        message.send_style,
        |number| SendStyle::from_wire(number).map(Some),
        None,
    );
    let idempotency_key = match message.idempotency_key {
        None => Some(None),
        Some(key) => parse_idempotency_key(&mut fields, key).map(Some),
    };
    fields.finish(|| {
        Some(Parsed {
            target: target?,
            text: text?,
            media: media?,
            send_style: send_style?,
            identity_id: identity_id?,
            idempotency: idempotency_key?.map(|key| (key, digest)),
        })
    })
}

fn parse_idempotency_key(fields: &mut Violations, key: String) -> Option<String> {
    let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !printable || !(1..=IDEMPOTENCY_KEY_LIMIT).contains(&key.len()) {
        let most = IDEMPOTENCY_KEY_LIMIT;
        fields.add("idempotency_key", format!("must be 1 to {most} printable ASCII characters"));
        return None;
    }
    Some(key)
}

/// What a request asks for, apart from the key it asks under and the identity that the key belongs to.
fn digest(message: &SendMessageRequest) -> [u8; 32] {
    let asked = SendMessageRequest { agent_identity_id: None, idempotency_key: None, ..message.clone() };
    Sha256::digest(asked.encode_to_vec()).into()
}

/// Whom a send is for, once everything that is invisible to the caller has been refused.
enum Resolved {
    Conversation(ContactTarget),
    Recipient(Recipient),
}

async fn resolve(app: &App, tenant: &Tenant, request: &Parsed) -> Result<(IdentityId, Resolved)> {
    let identity_id = listed_identity(tenant, request.identity_id)?;
    match &request.target {
        ParsedTarget::Conversation(id) => {
            let target = store::conversations::target(&app.db, &tenant.organization_id, identity_id, *id)
                .await?
                .ok_or(Error::NotFound(Resource::Conversation))?;
            Ok((target.identity_id, Resolved::Conversation(target)))
        }
        ParsedTarget::To(number) => {
            let identity_id = identity_id.ok_or(Error::NotFound(Resource::Identity))?;
            let recipient =
                store::conversations::recipient(&app.db, &tenant.organization_id, identity_id, number)
                    .await?
                    .ok_or(Error::NotFound(Resource::Identity))?;
            Ok((identity_id, Resolved::Recipient(recipient)))
        }
    }
}

pub(super) async fn send(
    app: &App,
    caller: &Principal,
    message: SendMessageRequest,
) -> Result<SendMessageResponse> {
    let request = parse(caller, message)?;
    let tenant = caller.tenant()?;
    let (identity_id, resolved) = resolve(app, tenant, &request).await?;
    if let Some(answer) = replay(app, tenant, identity_id, request.idempotency.as_ref()).await? {
        return Ok(encode(answer));
    }
    let target = match resolved {
        Resolved::Conversation(target) => {
            target.eligibility.check_send()?;
            target
        }
        Resolved::Recipient(recipient) => match recipient.into_target() {
            Err(Ineligible::RecipientNotConnected { connect_command }) => {
                let router_number = store::lines::router_number(&app.db).await?;
                return Err(Error::RecipientNotConnected { router_number, connect_command });
            }
            checked => checked?,
        },
    };
    let new = NewOutbound {
        organization_id: tenant.organization_id.clone(),
        identity_id,
        conversation_id: target.conversation_id,
        assignment_id: target.eligibility.connection_id,
        line_number: target.line_number.clone(),
        message_id: app.clock.new_id().into(),
        text: request.text,
        media: request.media,
        send_style: request.send_style,
        idempotency: request.idempotency.clone(),
        per_day: app.limits.per_day,
        longest: outbound::longest(app.limits.line_time_out),
        now: app.clock.now(),
    };
    let sending = app.clone();
    let sent = app
        .run_to_completion(async move {
            let lane = sending.queues.enter(&new.organization_id, new.conversation_id).await;
            // The time of a message is when its turn came, so that messages read in the order in which they left.
            let new = NewOutbound { now: sending.clock.now(), ..new };
            outbound::send(sending, target, new, lane).await
        })
        .await?;
    match sent {
        Sent::Message(message) => Ok(encode(*message)),
        Sent::KeyTaken => match replay(app, tenant, identity_id, request.idempotency.as_ref()).await? {
            Some(answer) => Ok(encode(answer)),
            // The key was swept within this call, since it was a week old, or its message is being erased.
            None => Err(Error::IdempotencyInProgress { retry_after: Duration::from_secs(1) }),
        },
    }
}

fn encode(message: crate::domain::Message) -> SendMessageResponse {
    SendMessageResponse { message: Some(proto::Message::from(message)) }
}

/// The first answer under this key, if there is one; the first one's failure is this one's as well.
async fn replay(
    app: &App,
    tenant: &Tenant,
    identity_id: IdentityId,
    idempotency: Option<&(String, [u8; 32])>,
) -> Result<Option<crate::domain::Message>> {
    let Some((key, digest)) = idempotency else { return Ok(None) };
    let first =
        store::messages::find_idempotency_record(&app.db, &tenant.organization_id, identity_id, key).await?;
    let Some(first) = first else { return Ok(None) };
    if first.request_digest != *digest {
        return Err(Error::IdempotencyKeyReused);
    }
    let age = (app.clock.now() - first.created_at).to_std().unwrap_or_default();
    let longest = outbound::longest(app.limits.line_time_out);
    if let (false, Some(retry_after)) = (first.finished, longest.checked_sub(age)) {
        return Err(Error::IdempotencyInProgress { retry_after });
    }
    let organization_id = &tenant.organization_id;
    let read = async || {
        store::messages::get_from_primary(
            &app.db,
            organization_id,
            Some(identity_id),
            View::All,
            first.message_id,
        )
        .await
    };
    // A message that is being erased takes its key with it.
    let Some(mut message) = read().await? else { return Ok(None) };
    if message.status == DeliveryStatus::Pending && outbound::resolve(app, organization_id, &message).await? {
        let Some(resolved) = read().await? else { return Ok(None) };
        message = resolved;
    }
    if let (DeliveryStatus::Error, Some(error)) = (message.status, &message.error) {
        let sent = store::messages::find_carrier_ref(&app.db, organization_id, message.id).await?;
        // What the carrier accepted and then gave up is a message like any other, with news of its delivery.
        if sent.is_some_and(|sent| sent.provider_message_id.is_none()) {
            return Err(CarrierError::of_code(&error.code).into());
        }
    }
    Ok(Some(message))
}
