//! The service as a process of its own, with two organizations.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::{
    CreateIdentityRequest, FilterMode, ListConversationsRequest, ReceiveMessageRequest, SendMessageRequest,
};
use tempfile::TempDir;

use crate::support::callers::Caller;
use crate::support::eventually;
use crate::support::program::{Service, run};

const ROUTER_LINE: &str = "+12025550100";
const POOL_LINES: [&str; 3] = ["+12025550101", "+12025550102", "+12025550103"];
/// The sandbox takes 2 s for this number.
const SLOW: &str = "+15005550003";
/// Texts of the largest size, of which one page is 3.8 MB.
const LONG_TEXTS: usize = 50;
const LONG_TEXT: usize = 18_996;

/// An agent in a conversation with a human.
#[derive(Clone)]
pub struct Pair {
    pub admin: Caller,
    pub agent: Caller,
    pub identity_id: String,
    pub conversation_id: String,
}

/// What attackers know.
pub struct Attacker {
    /// The noisy organization, whose human has sent texts of the largest size.
    pub pair: Pair,
    /// The same identity in a conversation with a human whose phone is slow.
    pub slow_conversation_id: String,
    pub address: std::net::SocketAddr,
    done: AtomicU64,
}

impl Attacker {
    /// Counts something that was done.
    pub fn did(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

pub struct Scene {
    pub neighbour: Pair,
    attacker: Arc<Attacker>,
    service: Service,
    // After the service, whose database is in it.
    _folder: TempDir,
}

pub fn text_to(conversation_id: &str, text: &str) -> SendMessageRequest {
    SendMessageRequest {
        target: Some(Target::ConversationId(conversation_id.to_owned())),
        text: Some(text.to_owned()),
        ..Default::default()
    }
}

impl Scene {
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("inkbox-neighbour-").tempdir_in("/tmp").unwrap();
        // PostgreSQL may run under another account, which has to get in.
        set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let arguments = [
            "--sends-per-day",
            "0",
            "--actions-per-minute",
            "12000",
            "--log",
            "warn,inkbox_imessage::cli=info",
        ];
        let service = Service::start(&folder, &arguments).await;
        run(&folder, &["line", "add", ROUTER_LINE, "--role", "router"]).await.succeeded();
        for line in POOL_LINES {
            run(&folder, &["line", "add", line, "--role", "pool"]).await.succeeded();
        }
        let router = run(&folder, &["key", "create", "--scope", "router"]).await.secret();
        let router = service.caller(&router);
        let mut pairs = Vec::new();
        for organization in ["org_quiet", "org_noisy"] {
            run(&folder, &["org", "create", organization]).await.succeeded();
            let admin = ["key", "create", "--scope", "admin", "--org", organization];
            let admin = service.caller(&run(&folder, &admin).await.secret());
            let identity = CreateIdentityRequest {
                agent_handle: organization.to_owned(),
                display_name: None,
                imessage_enabled: true,
                filter_mode: FilterMode::Blacklist.into(),
                ..Default::default()
            };
            let identity_id = admin.create_identity(identity).await.unwrap().identity.unwrap().id;
            let agent =
                ["key", "create", "--scope", "identity", "--org", organization, "--identity", &identity_id];
            let agent = service.caller(&run(&folder, &agent).await.secret());
            let number = format!("+1555123000{}", pairs.len());
            let conversation_id = converse(&router, &agent, &number, organization).await;
            pairs.push(Pair { admin, agent, identity_id, conversation_id });
        }
        let (noisy, neighbour) = (pairs.pop().unwrap(), pairs.pop().unwrap());
        let slow_conversation_id = converse(&router, &noisy.agent, SLOW, "org_noisy").await;
        fill(&router, "+15551230001").await;
        let attacker =
            Attacker { pair: noisy, slow_conversation_id, address: service.address, done: AtomicU64::new(0) };
        Self { neighbour, attacker: Arc::new(attacker), service, _folder: folder }
    }

    pub fn attacker(&self) -> Arc<Attacker> {
        self.attacker.clone()
    }

    pub fn attacks_done(&self) -> u64 {
        self.attacker.done.load(Ordering::Relaxed)
    }

    /// Resident memory of the service, without PostgreSQL.
    pub fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.service.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Waits until the noisy organization is admitted again, and its slow sends have ended.
    pub async fn until_quiet(&self) {
        eventually("the attack is over", async || {
            let agent = &self.attacker.pair.agent;
            let sent = agent.send_message(text_to(&self.attacker.slow_conversation_id, "over")).await;
            let listed = agent.list_conversations(ListConversationsRequest::default()).await;
            (sent.is_ok() && listed.is_ok()).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Connects a human to an agent, and returns their conversation.
async fn converse(router: &Caller, agent: &Caller, number: &str, handle: &str) -> String {
    let text = |line: &str, words: &str| ReceiveMessageRequest {
        line_number: line.to_owned(),
        remote_number: number.to_owned(),
        text: Some(words.to_owned()),
        provider_message_id: format!("{number} {words}"),
        ..Default::default()
    };
    let connected = router.receive_message(text(ROUTER_LINE, &format!("connect @{handle}"))).await.unwrap();
    let line = connected.line_number.expect("a connection");
    router.receive_message(text(&line, "hello")).await.unwrap();
    let list = agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
    let conversation = list.conversations.into_iter().find(|found| found.remote_number == number);
    conversation.expect("a conversation").id
}

/// Makes pages of the noisy organization as large as responses get.
async fn fill(router: &Caller, number: &str) {
    for line in POOL_LINES {
        for text in 0..LONG_TEXTS {
            let request = ReceiveMessageRequest {
                line_number: line.to_owned(),
                remote_number: number.to_owned(),
                text: Some("😀".repeat(LONG_TEXT)),
                provider_message_id: format!("long {text}"),
                ..Default::default()
            };
            router.receive_message(request).await.unwrap();
        }
    }
}
