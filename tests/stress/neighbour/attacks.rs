//! The attacks. To add one, write a function and list it in [`ATTACKS`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use inkbox_imessage::proto::message_service_client::MessageServiceClient;
use inkbox_imessage::proto::{
    ContactRuleAction, CreateContactRuleRequest, DeleteContactRuleRequest, ListConversationsRequest,
    ListMessagesRequest, MarkConversationReadRequest, SendTypingIndicatorRequest, WhoAmIRequest,
};
use prost::Message as _;
use tokio::time::sleep;

use super::clients::{Connection, beginning};
use super::scene::{Attacker, text_to};
use crate::support::callers::Caller;

const LIST_MESSAGES: &str = "/inkbox.imessage.v1.MessageService/ListMessages";
/// Pause of an attacker between two calls.
const PAUSE: Duration = Duration::from_millis(20);

pub struct Attack {
    pub name: &'static str,
    pub callers: usize,
    /// One of the callers, which goes on until it is dropped.
    pub run: fn(Arc<Attacker>, usize) -> BoxFuture<'static, ()>,
}

macro_rules! attacks {
    ($($name:literal: $callers:literal $run:ident;)+) => {
        pub const ATTACKS: &[Attack] = &[$(Attack {
            name: $name,
            callers: $callers,
            run: |attacker, number| Box::pin($run(attacker, number)),
        }),+];
    };
}

attacks! {
    "unknown keys with short deadlines": 16 unknown_keys;
    "texts that are no keys": 16 malformed_keys;
    "typing in one slow conversation": 200 typing;
    "sends to a slow phone, given up after 0.4 s": 200 abandoned_sends;
    "the largest pages": 12 large_pages;
    "the largest pages, given up after 5 ms": 24 abandoned_pages;
    "pages with many limits and offsets": 16 many_offsets;
    "large responses that nobody reads": 4 unread_responses;
    "large requests that are not completed": 4 incomplete_requests;
    "health requests of 4 MiB without a key": 4 large_health_requests;
    "health watches by the hundred": 4 watches;
    "silent connections": 4 silent_connections;
    "receipts as fast as possible": 16 receipts;
    "contact rules changed in a loop": 8 rules;
}

static UNKNOWN: AtomicU64 = AtomicU64::new(0);

/// Calls with a deadline, in gRPC's notation.
fn within<T>(caller: &Caller, message: T, time: &'static str) -> tonic::Request<T> {
    let mut request = caller.request(message);
    request.metadata_mut().insert("grpc-timeout", time.parse().unwrap());
    request
}

async fn unknown_keys(attacker: Arc<Attacker>, _: usize) {
    use inkbox_imessage::proto::api_key_service_client::ApiKeyServiceClient;
    loop {
        let key = format!("ink_{:043}", UNKNOWN.fetch_add(1, Ordering::Relaxed));
        let caller = Caller::new(attacker.pair.agent.channel.clone(), Some(key));
        let request = within(&caller, WhoAmIRequest {}, "5m");
        let _ = ApiKeyServiceClient::new(caller.channel.clone()).who_am_i(request).await;
        attacker.did();
        sleep(PAUSE / 4).await;
    }
}

async fn malformed_keys(attacker: Arc<Attacker>, _: usize) {
    let caller = Caller::new(attacker.pair.agent.channel.clone(), Some("no key".to_owned()));
    loop {
        let _ = caller.who_am_i(WhoAmIRequest {}).await;
        attacker.did();
        sleep(PAUSE / 4).await;
    }
}

async fn typing(attacker: Arc<Attacker>, _: usize) {
    loop {
        let conversation_id = attacker.slow_conversation_id.clone();
        let _ = attacker
            .pair
            .agent
            .send_typing_indicator(SendTypingIndicatorRequest { conversation_id, ..Default::default() })
            .await;
        attacker.did();
        sleep(5 * PAUSE).await;
    }
}

async fn abandoned_sends(attacker: Arc<Attacker>, number: usize) {
    let agent = &attacker.pair.agent;
    // All of them do not come in the same moment.
    sleep(PAUSE * u32::try_from(number % 16).unwrap()).await;
    loop {
        let request = within(agent, text_to(&attacker.slow_conversation_id, "late"), "400m");
        let _ = MessageServiceClient::new(agent.channel.clone()).send_message(request).await;
        attacker.did();
        sleep(5 * PAUSE).await;
    }
}

fn page(limit: i32, offset: i32) -> ListMessagesRequest {
    ListMessagesRequest { limit: Some(limit), offset: Some(offset), ..Default::default() }
}

async fn large_pages(attacker: Arc<Attacker>, _: usize) {
    loop {
        // Not decoded: the attacker's own work would slow the machine down.
        let _ = attacker.pair.agent.raw(LIST_MESSAGES, page(50, 0).encode_to_vec()).await;
        attacker.did();
        sleep(10 * PAUSE).await;
    }
}

async fn abandoned_pages(attacker: Arc<Attacker>, _: usize) {
    let agent = &attacker.pair.agent;
    loop {
        let request = within(agent, page(50, 0), "5m");
        let _ = MessageServiceClient::new(agent.channel.clone()).list_messages(request).await;
        attacker.did();
        sleep(10 * PAUSE).await;
    }
}

async fn many_offsets(attacker: Arc<Attacker>, number: usize) {
    let mut offset = i32::try_from(number).unwrap();
    loop {
        offset = (offset + 7) % 40;
        let _ = attacker.pair.agent.list_messages(page(1 + offset % 9, offset)).await;
        let conversations = ListConversationsRequest { limit: Some(1 + offset), ..Default::default() };
        let _ = attacker.pair.agent.list_conversations(conversations).await;
        attacker.did();
        sleep(PAUSE).await;
    }
}

async fn unread_responses(attacker: Arc<Attacker>, _: usize) {
    let message = page(50, 0).encode_to_vec();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let body = Bytes::from(body);
    let (mut held, mut connections) = (Vec::new(), Vec::new());
    loop {
        let Some(connection) = Connection::open(attacker.address, 0).await else { continue };
        for _ in 0..16 {
            let key = attacker.pair.agent.secret.as_deref();
            if let Some((response, mut stream)) = connection.begin(LIST_MESSAGES, key, body.clone()).await {
                let _ = stream.send_data(Bytes::new(), true);
                held.push(response.await.ok());
                attacker.did();
            }
            sleep(PAUSE).await;
        }
        connections.push(connection);
    }
}

async fn incomplete_requests(attacker: Arc<Attacker>, _: usize) {
    hold_streams(
        &attacker,
        "/inkbox.imessage.v1.MessageService/SendMessage",
        true,
        &beginning(1_000_000, 60_000),
    )
    .await;
}

async fn large_health_requests(attacker: Arc<Attacker>, _: usize) {
    hold_streams(&attacker, "/grpc.health.v1.Health/Check", false, &beginning(4_193_280, 60_000)).await;
}

async fn watches(attacker: Arc<Attacker>, _: usize) {
    hold_streams(&attacker, "/grpc.health.v1.Health/Watch", false, &beginning(0, 0)).await;
}

/// Opens streams that it neither completes nor closes.
async fn hold_streams(attacker: &Attacker, path: &str, with_key: bool, body: &Bytes) {
    let Some(connection) = Connection::open(attacker.address, 65_535).await else { return };
    let key = attacker.pair.agent.secret.as_deref().filter(|_| with_key);
    let mut held = Vec::new();
    loop {
        if held.len() >= 64 {
            held.clear();
        }
        held.extend(connection.begin(path, key, body.clone()).await);
        attacker.did();
        sleep(PAUSE).await;
    }
}

async fn silent_connections(attacker: Arc<Attacker>, _: usize) {
    let mut held = Vec::new();
    loop {
        held.extend(Connection::open(attacker.address, 65_535).await);
        attacker.did();
        sleep(PAUSE / 4).await;
    }
}

async fn receipts(attacker: Arc<Attacker>, _: usize) {
    loop {
        let conversation_id = attacker.pair.conversation_id.clone();
        let _ = attacker
            .pair
            .agent
            .mark_conversation_read(MarkConversationReadRequest { conversation_id, ..Default::default() })
            .await;
        attacker.did();
        sleep(PAUSE / 2).await;
    }
}

async fn rules(attacker: Arc<Attacker>, number: usize) {
    loop {
        let rule = CreateContactRuleRequest {
            agent_identity_id: Some(attacker.pair.identity_id.clone()),
            action: ContactRuleAction::Block.into(),
            match_target: format!("+1555999{number:04}"),
        };
        if let Ok(created) = attacker.pair.admin.create_contact_rule(rule).await {
            let contact_rule_id = created.contact_rule.unwrap().id;
            let _ =
                attacker.pair.admin.delete_contact_rule(DeleteContactRuleRequest { contact_rule_id }).await;
        }
        attacker.did();
        sleep(PAUSE).await;
    }
}
