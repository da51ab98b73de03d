//! The demo: an organization with an agent, a human who texted it, and example calls to copy. It is set up through the same
//! use cases as real calls. Parts that exist are kept with all their changes.

use std::fmt::Write as _;

use crate::app::App;
use crate::auth::{self, NewKey};
use crate::domain::{
    ApiKeyScope, CarrierKind, ConversationId, FilterMode, Handle, Identity, LineRole, OrganizationId,
    PageRequest, PhoneNumber, Secret, Start, TimeRange, Transport, View,
};
use crate::error::{Error, Resource, Result};
use crate::messaging::inbound::{self, Replies};
use crate::store::api_keys::KeyOwner;
use crate::store::identities::NewIdentity;
use crate::store::inbound::InboundText;
use crate::store::{self, Created};

const ORGANIZATION: &str = "org_demo";
const HANDLE: &str = "demo";
/// From the range of phone numbers that is reserved for fiction.
const ROUTER_LINE: &str = "+12025550100";
const POOL_LINES: [&str; 3] = ["+12025550101", "+12025550102", "+12025550103"];
const HUMAN: &str = "+12025550199";
/// Label of the keys that each start creates and the next start revokes.
const KEY_LABEL: &str = "demo: works until the next start";
/// Number of the newest keys that are searched for those of the last start.
const MAX_KEYS_SEARCHED: u32 = 200;

/// The data of the page that `serve --demo` prints.
pub struct Demo {
    admin: Secret,
    agent: Secret,
    router: Secret,
    conversation_id: ConversationId,
    pool_line: PhoneNumber,
}

/// Creates the missing parts of the demo, and new keys.
///
/// # Errors
/// `StorageUnavailable`, or `AlreadyExists` when the demo's handle belongs to another organization.
pub async fn set_up(app: &App) -> Result<Demo> {
    let organization_id = OrganizationId::from(ORGANIZATION);
    store::organizations::create(&app.db, &organization_id, app.clock.now()).await?;
    add_line(app, ROUTER_LINE, LineRole::Router).await?;
    for line in POOL_LINES {
        add_line(app, line, LineRole::Pool).await?;
    }
    let identity = find_or_create_identity(app, &organization_id).await?;
    revoke_old_keys(app, &organization_id).await?;
    let conversation_id = find_or_create_conversation(app, &identity).await?;
    let pool_line = store::conversations::target(&app.db, &organization_id, None, conversation_id)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?
        .line_number;
    Ok(Demo {
        admin: key(app, ApiKeyScope::Admin, Some(&identity)).await?,
        agent: key(app, ApiKeyScope::Identity, Some(&identity)).await?,
        router: key(app, ApiKeyScope::Router, None).await?,
        conversation_id,
        pool_line,
    })
}

async fn add_line(app: &App, number: &str, role: LineRole) -> Result<()> {
    // Not added means that the line exists, or that there is another router line, which can be used as well.
    let _ = store::lines::add(&app.db, &phone(number)?, role, CarrierKind::Sandbox, app.clock.now()).await?;
    Ok(())
}

fn phone(number: &str) -> Result<PhoneNumber> {
    PhoneNumber::parse(number).map_err(|_| Error::Internal)
}

async fn find_or_create_identity(app: &App, organization_id: &OrganizationId) -> Result<Identity> {
    let new = NewIdentity {
        id: app.clock.new_id().into(),
        organization_id: organization_id.clone(),
        handle: Handle::parse(HANDLE).map_err(|_| Error::Internal)?,
        display_name: "Demo agent".to_owned(),
        description: None,
        imessage_enabled: true,
        filter_mode: FilterMode::Blacklist,
    };
    match store::identities::create(&app.db, new, app.clock.now()).await? {
        Created::Conflict { existing_id: Some(id) } => {
            store::identities::current(&app.db, organization_id, id.into()).await?.ok_or(Error::Internal)
        }
        created => created.or_already_exists(Resource::Identity),
    }
}

async fn revoke_old_keys(app: &App, organization_id: &OrganizationId) -> Result<()> {
    let newest = PageRequest { limit: MAX_KEYS_SEARCHED, start: Start::Offset(0) };
    let mut old: Vec<_> = store::api_keys::list(&app.db, organization_id, &newest).await?.rows;
    old.extend(store::api_keys::list_router_keys(&app.db, &newest).await?);
    for key in old.iter().filter(|key| key.label == KEY_LABEL && key.revoked_at.is_none()) {
        store::api_keys::revoke(&app.db, KeyOwner::Anyone, key.id, app.clock.now()).await?;
    }
    Ok(())
}

async fn key(app: &App, scope: ApiKeyScope, identity: Option<&Identity>) -> Result<Secret> {
    let new = NewKey {
        scope,
        organization_id: identity.map(|identity| identity.organization_id.clone()),
        agent_identity_id: identity.filter(|_| scope == ApiKeyScope::Identity).map(|identity| identity.id),
        label: KEY_LABEL.to_owned(),
        expires_at: None,
    };
    let (_, secret) = auth::issue_key(&app.db, &*app.clock, new).await?;
    Ok(secret)
}

/// A human texts the router line, gets connected, and sends messages to the pool line in the answer.
async fn find_or_create_conversation(app: &App, identity: &Identity) -> Result<ConversationId> {
    let newest = PageRequest { limit: 1, start: Start::Offset(0) };
    let mut found = store::conversations::list(
        &app.db,
        &identity.organization_id,
        Some(identity.id),
        View::All,
        TimeRange::ALL,
        &newest,
    )
    .await?;
    if let Some(summary) = found.rows.pop() {
        return Ok(summary.conversation.id);
    }
    let router_line = store::lines::router_number(&app.db).await?.ok_or(Error::Internal)?;
    let connected =
        inbound::receive(app, text(app, router_line, &format!("connect @{HANDLE}"))?, Replies::ByCaller)
            .await?;
    let inbound::TextOutcome::Connected { line_number, .. } = connected else { return Err(Error::Internal) };
    for words in ["Hi! Is this the demo agent?", "I would like to book a table for two at eight."] {
        inbound::receive(app, text(app, line_number.clone(), words)?, Replies::ByCaller).await?;
    }
    let mut made = store::conversations::list(
        &app.db,
        &identity.organization_id,
        Some(identity.id),
        View::All,
        TimeRange::ALL,
        &newest,
    )
    .await?;
    made.rows.pop().map(|summary| summary.conversation.id).ok_or(Error::Internal)
}

fn text(app: &App, line_number: PhoneNumber, words: &str) -> Result<InboundText> {
    Ok(InboundText {
        line_number,
        remote_number: phone(HUMAN)?,
        text: Some(words.to_owned()),
        media: Vec::new(),
        provider_message_id: app.clock.new_id().to_string(),
        sent_at: app.clock.now(),
        transport: Transport::IMessage,
        chat: None,
        reply_to: None,
    })
}

impl Demo {
    /// The page that `serve --demo` prints for a service on this address: keys and example calls.
    #[must_use]
    pub fn page(&self, address: &str, with_tls: bool) -> String {
        let Self { admin, agent, router, conversation_id, pool_line } = self;
        let id = format!(r#"{{"conversation_id": "{conversation_id}"}}"#);
        let reply = format!(
            r#"{{"conversation_id": "{conversation_id}", "text": "A table for two at eight: done!"}}"#
        );
        let hello = format!(
            r#"{{"line_number": "{}", "remote_number": "{HUMAN}", "text": "Hello again", "provider_message_id": "'$RANDOM$RANDOM'"}}"#,
            pool_line.as_str()
        );
        // The demo does not verify the certificate.
        let (grpcurl, buf, scheme) = if with_tls {
            ("-insecure", "--insecure", "https")
        } else {
            ("-plaintext", "--http2-prior-knowledge", "http")
        };
        let calls = [
            ("List the conversations", agent, "ConversationService/ListConversations", r#"{"limit": 10}"#),
            ("Get one", agent, "ConversationService/GetConversation", &id),
            (
                "Mark it read (the human sees \"Read\")",
                agent,
                "ConversationService/MarkConversationRead",
                &id,
            ),
            ("Show the typing bubble", agent, "ConversationService/SendTypingIndicator", &id),
            ("Read its messages", agent, "MessageService/ListMessages", &id),
            ("Answer", agent, "MessageService/SendMessage", &reply),
            ("List who is connected", admin, "ConnectionService/ListConnections", "{}"),
            ("See what the sandbox line did", admin, "SandboxService/ListDeliveries", "{}"),
            (
                "Watch what happens, in a second terminal, and then do the next call in the first",
                agent,
                "EventService/WatchEvents",
                "{}",
            ),
            ("Be the human: text the agent", router, "RouterService/ReceiveMessage", &hello),
        ];
        let mut page = format!(
            "\nServing on {address}, with the sandbox line and a demo organization.\n\n\
             Keys, good until the next start:\n\
             \x20 admin   {}\n  agent   {}\n  router  {}\n",
            admin.reveal(),
            agent.reveal(),
            router.reveal()
        );
        page.push_str("\nWith grpcurl:\n");
        for (title, key, method, body) in &calls {
            let key = key.reveal();
            let _ = writeln!(
                page,
                "\n# {title}\ngrpcurl {grpcurl} -H 'x-api-key: {key}' -d '{body}' {address} inkbox.imessage.v1.{method}"
            );
        }
        page.push_str("\nThe same with buf:\n");
        for (title, key, method, body) in &calls {
            let key = key.reveal();
            let _ = writeln!(
                page,
                "\n# {title}\nbuf curl --protocol grpc {buf} -H 'x-api-key: {key}' -d '{body}' {scheme}://{address}/inkbox.imessage.v1.{method}"
            );
        }
        page
    }
}
