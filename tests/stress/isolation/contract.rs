//! The contract as it was compiled: its RPCs, and what each field of their requests can name.

use std::collections::BTreeSet;

use inkbox_imessage::proto::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, Kind as FieldKind, MessageDescriptor};

const PACKAGE: &str = "inkbox.imessage.v1";

/// Kinds of row that a request can name by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Identity,
    Connection,
    Conversation,
    Message,
    Reaction,
    ContactRule,
    ApiKey,
}

/// What a field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The id of a row: `same_bytes` and `timing`.
    Id(Kind),
    /// Where a list goes on: `same_bytes` and `timing`.
    PageToken,
    /// What is unique beyond one row without being an id of ours: `names`.
    Name,
    /// Nothing that could be another's.
    Plain,
}

/// Every field of every request, by name: a field means the same wherever it stands.
const FIELDS: [(&str, Meaning); 55] = [
    ("agent_identity_id", Meaning::Id(Kind::Identity)),
    ("identity_id", Meaning::Id(Kind::Identity)),
    ("connection_id", Meaning::Id(Kind::Connection)),
    ("conversation_id", Meaning::Id(Kind::Conversation)),
    ("message_id", Meaning::Id(Kind::Message)),
    ("reaction_id", Meaning::Id(Kind::Reaction)),
    ("reply_to_message_id", Meaning::Id(Kind::Message)),
    ("up_to_message_id", Meaning::Id(Kind::Message)),
    ("contact_rule_id", Meaning::Id(Kind::ContactRule)),
    ("api_key_id", Meaning::Id(Kind::ApiKey)),
    ("page_token", Meaning::PageToken),
    ("agent_handle", Meaning::Name),
    ("idempotency_key", Meaning::Name),
    ("line_number", Meaning::Name),
    ("match_target", Meaning::Name),
    ("provider_message_id", Meaning::Name),
    ("remote_number", Meaning::Name),
    ("target_provider_message_id", Meaning::Name),
    ("to", Meaning::Name),
    ("action", Meaning::Plain),
    // A sealed cursor; another organization's is refused: tests/api/events/cursors.rs.
    ("after", Meaning::Plain),
    ("code", Meaning::Plain),
    ("content_type", Meaning::Plain),
    ("custom_emoji", Meaning::Plain),
    ("description", Meaning::Plain),
    ("display_name", Meaning::Plain),
    ("duration_seconds", Meaning::Plain),
    ("end_time", Meaning::Plain),
    ("error", Meaning::Plain),
    ("expires_at", Meaning::Plain),
    ("filter_mode", Meaning::Plain),
    ("imessage_enabled", Meaning::Plain),
    ("is_blocked", Meaning::Plain),
    ("is_read", Meaning::Plain),
    ("label", Meaning::Plain),
    ("limit", Meaning::Plain),
    ("media", Meaning::Plain),
    ("media_urls", Meaning::Plain),
    ("message", Meaning::Plain),
    ("offset", Meaning::Plain),
    ("part_index", Meaning::Plain),
    ("reaction", Meaning::Plain),
    ("removed", Meaning::Plain),
    ("plain_reply_fallback", Meaning::Plain),
    ("send_style", Meaning::Plain),
    ("sent_at", Meaning::Plain),
    ("size_bytes", Meaning::Plain),
    ("start_time", Meaning::Plain),
    ("status", Meaning::Plain),
    ("text", Meaning::Plain),
    ("transport", Meaning::Plain),
    ("types", Meaning::Plain),
    ("url", Meaning::Plain),
    ("wait_seconds", Meaning::Plain),
    ("was_downgraded", Meaning::Plain),
];

/// An RPC.
#[derive(Debug, Clone)]
pub struct Rpc {
    /// `Service/Rpc`.
    pub name: String,
    pub request: MessageDescriptor,
    /// Whether it answers with a stream.
    pub streams: bool,
}

impl Rpc {
    /// `/package.Service/Rpc`.
    pub fn path(&self) -> String {
        format!("/{PACKAGE}.{}", self.name)
    }

    /// The fields that name a row or a page.
    pub fn naming_fields(&self) -> Vec<(String, Meaning)> {
        let all =
            self.request.fields().map(|field| (field.name().to_owned(), meaning(field.name()).unwrap()));
        all.filter(|(_, meaning)| matches!(meaning, Meaning::Id(_) | Meaning::PageToken)).collect()
    }
}

/// What a field means; `None` for one that nobody has thought about.
fn meaning(field: &str) -> Option<Meaning> {
    FIELDS.iter().find(|(name, _)| *name == field).map(|(_, meaning)| *meaning)
}

/// Every RPC of the contract.
pub fn rpcs() -> Vec<Rpc> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let rpcs: Vec<_> = pool
        .services()
        .filter(|service| service.package_name() == PACKAGE)
        .flat_map(|service| {
            let methods: Vec<_> = service.methods().collect();
            methods.into_iter().map(move |method| Rpc {
                name: format!("{}/{}", service.name(), method.name()),
                request: method.input(),
                streams: method.is_server_streaming(),
            })
        })
        .collect();
    assert!(rpcs.len() >= 31, "only {} RPCs in the contract", rpcs.len());
    rpcs
}

/// The names of a message's fields, and of those inside them.
fn fields_of(message: &MessageDescriptor, names: &mut BTreeSet<String>) {
    for field in message.fields() {
        names.insert(field.name().to_owned());
        if let FieldKind::Message(inner) = field.kind()
            && inner.package_name() == PACKAGE
        {
            fields_of(&inner, names);
        }
    }
}

#[test]
fn every_field_of_every_request_is_thought_about_here() {
    let mut names = BTreeSet::new();
    for rpc in rpcs() {
        fields_of(&rpc.request, &mut names);
    }
    let unknown: Vec<_> = names.iter().filter(|name| meaning(name).is_none()).collect();
    assert!(unknown.is_empty(), "say in FIELDS what these can name, and give them cases: {unknown:?}");
    let gone: Vec<_> = FIELDS.iter().filter(|(name, _)| !names.contains(*name)).collect();
    assert!(gone.is_empty(), "no request has these any more: {gone:?}");
}

#[test]
fn no_field_that_reads_like_an_id_or_a_token_passes_for_plain() {
    for (name, meaning) in &FIELDS {
        let names_something =
            ["_id", "_ids", "_token", "_key", "_handle", "_number"].iter().any(|end| name.ends_with(end));
        assert!(!names_something || *meaning != Meaning::Plain, "{name}");
    }
}
