//! Conversions from domain types to protobuf messages.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use crate::carriers::Delivery;
use crate::domain::{
    ApiKey, AssignmentStatus, Connection, ContactRule, Conversation, ConversationSummary, Direction,
    Identity, Media, Message, OrganizationId, PhoneNumber, Reaction, Tenant,
};
use crate::proto;

pub(in crate::grpc) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: time.timestamp(), nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0) }
}

impl From<Conversation> for proto::Conversation {
    fn from(conversation: Conversation) -> Self {
        Self {
            id: conversation.id.into(),
            assignment_id: conversation.assignment_id.into(),
            assignment_status: conversation.assignment_status.into(),
            remote_number: conversation.remote_number.into_string(),
            created_at: Some(timestamp(conversation.created_at)),
            updated_at: Some(timestamp(conversation.updated_at)),
            agent_identity_id: conversation.agent_identity_id.into(),
            opted_out_at: conversation.opted_out_at.map(timestamp),
        }
    }
}

impl From<ConversationSummary> for proto::ConversationSummary {
    fn from(summary: ConversationSummary) -> Self {
        let conversation = proto::Conversation::from(summary.conversation);
        Self {
            id: conversation.id,
            assignment_id: conversation.assignment_id,
            assignment_status: conversation.assignment_status,
            remote_number: conversation.remote_number,
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
            agent_identity_id: conversation.agent_identity_id,
            opted_out_at: conversation.opted_out_at,
            latest_text: summary.latest.text,
            latest_message_at: Some(timestamp(summary.latest.at)),
            latest_direction: summary.latest.direction.into(),
            latest_has_media: summary.latest.has_media,
            unread_count: summary.unread_count,
            total_count: summary.total_count,
        }
    }
}

impl From<Connection> for proto::Connection {
    fn from(connection: Connection) -> Self {
        let status: AssignmentStatus = connection.status();
        Self {
            id: connection.id.into(),
            remote_number: connection.remote_number.into_string(),
            agent_identity_id: connection.agent_identity_id.into(),
            organization_id: connection.organization_id.to_string(),
            status: status.into(),
            released_at: connection.released_at.map(timestamp),
            created_at: Some(timestamp(connection.created_at)),
            updated_at: Some(timestamp(connection.updated_at)),
        }
    }
}

/// A message as this caller may see it: the text before an edit or a retraction is shown to admin keys only.
pub(in crate::grpc) fn message_for(caller: &Tenant, mut message: Message) -> proto::Message {
    let original_text = message.original_text.take().filter(|_| caller.is_admin());
    proto::Message { original_text, ..message.into() }
}

/// Without what only some callers may see.
impl From<Message> for proto::Message {
    fn from(message: Message) -> Self {
        Self {
            id: message.id.into(),
            conversation_id: message.conversation_id.into(),
            assignment_id: message.assignment_id.into(),
            direction: message.direction.into(),
            remote_number: message.remote_number.into_string(),
            text: message.text,
            media: message.media.into_iter().map(Into::into).collect(),
            send_style: message.send_style.map_or(0, Into::into),
            transport: message.transport.into(),
            status: message.status.into(),
            error: message
                .error
                .map(|error| proto::DeliveryError { code: error.code, message: error.message }),
            is_read: message.is_read,
            is_blocked: message.is_blocked,
            reactions: message.reactions.into_iter().map(Into::into).collect(),
            created_at: Some(timestamp(message.created_at)),
            updated_at: Some(timestamp(message.updated_at)),
            was_downgraded: message.was_downgraded,
            edited_at: message.edited_at.map(timestamp),
            retracted_at: message.retracted_at.map(timestamp),
            original_text: None,
            reply_to_message_id: message.reply_to.map(Into::into),
            origin: match message.direction {
                Direction::Inbound => proto::MessageOrigin::Unspecified.into(),
                Direction::Outbound => message.origin.into(),
            },
        }
    }
}

impl From<Media> for proto::Media {
    fn from(media: Media) -> Self {
        Self { url: media.url, content_type: media.content_type, size_bytes: media.size_bytes }
    }
}

impl From<Reaction> for proto::Reaction {
    fn from(reaction: Reaction) -> Self {
        Self {
            id: reaction.id.into(),
            conversation_id: reaction.conversation_id.into(),
            message_id: reaction.message_id.into(),
            direction: reaction.direction.into(),
            reaction: reaction.reaction.into(),
            custom_emoji: reaction.custom_emoji,
            part_index: reaction.part_index,
            created_at: Some(timestamp(reaction.created_at)),
            remote_number: reaction.remote_number.into_string(),
            updated_at: Some(timestamp(reaction.updated_at)),
        }
    }
}

impl From<ContactRule> for proto::ContactRule {
    fn from(rule: ContactRule) -> Self {
        Self {
            id: rule.id.into(),
            agent_identity_id: rule.agent_identity_id.into(),
            action: rule.action.into(),
            match_target: rule.match_target.into_string(),
            status: rule.status.into(),
            created_at: Some(timestamp(rule.created_at)),
            updated_at: Some(timestamp(rule.updated_at)),
        }
    }
}

impl From<Identity> for proto::Identity {
    fn from(identity: Identity) -> Self {
        Self {
            id: identity.id.into(),
            organization_id: identity.organization_id.to_string(),
            agent_handle: identity.agent_handle,
            display_name: identity.display_name,
            description: identity.description,
            imessage_enabled: identity.imessage_enabled,
            filter_mode: identity.filter_mode.into(),
            created_at: Some(timestamp(identity.created_at)),
            updated_at: Some(timestamp(identity.updated_at)),
        }
    }
}

impl From<ApiKey> for proto::ApiKey {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.into(),
            organization_id: key.organization_id.as_ref().map(OrganizationId::to_string),
            scope: key.scope.into(),
            agent_identity_id: key.agent_identity_id.map(Into::into),
            label: key.label,
            display_prefix: key.display_prefix,
            created_at: Some(timestamp(key.created_at)),
            expires_at: key.expires_at.map(timestamp),
            revoked_at: key.revoked_at.map(timestamp),
            last_used_at: key.last_used_at.map(timestamp),
        }
    }
}

impl From<Delivery> for proto::Delivery {
    fn from(delivery: Delivery) -> Self {
        Self {
            kind: delivery.kind as i32,
            conversation_id: delivery.conversation_id.into(),
            remote_number: PhoneNumber::into_string(delivery.remote_number),
            text: delivery.text,
            failed: delivery.failed,
            at: Some(timestamp(delivery.at)),
        }
    }
}
