//! What is left of a send when its process dies between the line's answer and writing it down: the real binary, its own
//! PostgreSQL, and kill -9.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use inkbox_imessage::clock::{Clock as _, SystemClock};
use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::{
    DeliveryKind, DeliveryStatus, ListDeliveriesRequest, ListIdentitiesRequest, ListMessagesRequest, Message,
    SendMessageRequest,
};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;
use tonic::transport::Endpoint;

use crate::support::callers::Caller;
use crate::support::{Human, PATIENCE, assert_reason, eventually};

/// The number that keeps the sandbox line busy for two seconds.
const SLOW: &str = "+15005550003";

/// A running service with the demo's keys.
struct Service {
    process: Child,
    admin: Caller,
    router: Caller,
    /// Kept open: a service that cannot write its log would not be the one to test.
    _log: Lines<BufReader<ChildStderr>>,
}

impl Service {
    async fn start(data_dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_inkbox-imessage"))
            .env_remove("DATABASE_URL")
            .env("INKBOX_DATA_DIR", data_dir)
            .env("INKBOX_LISTEN", "127.0.0.1:0")
            .env("INKBOX_DEMO", "true")
            .env("INKBOX_LOG", "warn")
            .envs(settings.iter().copied())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let (mut address, mut admin) = (None, None);
        let router = timeout(PATIENCE, async {
            while let Some(line) = log.next_line().await.unwrap() {
                if let Some(rest) = line.strip_prefix("Serving on ") {
                    address = rest.split(',').next().map(str::to_owned);
                } else if let Some(secret) = line.strip_prefix("  admin   ") {
                    admin = Some(secret.to_owned());
                } else if let Some(secret) = line.strip_prefix("  router  ") {
                    return secret.to_owned();
                }
            }
            panic!("the service ended before it printed its keys");
        });
        let router = router.await.expect("keys in time");
        let address = format!("http://{}", address.expect("an address"));
        let channel = Endpoint::from_shared(address).unwrap().timeout(PATIENCE).connect_lazy();
        Self {
            process,
            admin: Caller::new(channel.clone(), admin),
            router: Caller::new(channel, Some(router)),
            _log: log,
        }
    }

    /// Texts of the messages that reached the line.
    async fn sent(&self) -> Vec<Option<String>> {
        let deliveries =
            self.admin.list_deliveries(ListDeliveriesRequest::default()).await.unwrap().deliveries;
        deliveries.into_iter().filter(|d| d.kind() == DeliveryKind::Message).map(|d| d.text).collect()
    }

    async fn outbound_in(&self, conversation_id: &str) -> Vec<Message> {
        let request =
            ListMessagesRequest { conversation_id: Some(conversation_id.to_owned()), ..Default::default() };
        let mut messages = self.admin.list_messages(request).await.unwrap().messages;
        messages.retain(|message| message.status() != DeliveryStatus::Received);
        messages
    }
}

#[tokio::test]
async fn a_send_whose_process_was_killed_stays_pending_and_is_never_repeated() {
    let folder = tempfile::Builder::new().prefix("inkbox-crash-").tempdir_in("/tmp").unwrap();
    // PostgreSQL may run under another account, which has to get in.
    set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let data_dir = folder.path().join("data");

    let mut service = Service::start(&data_dir, &[]).await;
    let identity = service.admin.list_identities(ListIdentitiesRequest::default()).await.unwrap();
    let human = Human { number: SLOW.to_owned(), router: service.router.clone() };
    let (_, id) = human.converses(&identity.identities[0], "hello").await;
    let request = SendMessageRequest {
        target: Some(Target::ConversationId(id.clone())),
        text: Some("once".to_owned()),
        idempotency_key: Some("crash".to_owned()),
        ..Default::default()
    };
    let sending = tokio::spawn({
        let (admin, request) = (service.admin.clone(), request.clone());
        async move { admin.send_message(request).await }
    });
    eventually("the line has the message", async || (!service.sent().await.is_empty()).then_some(())).await;
    service.process.kill().await.unwrap();
    assert!(sending.await.unwrap().is_err(), "its caller was not told anything good");
    drop(service);

    let service = Service::start(&data_dir, &[("INKBOX_CARRIER_TIMEOUT", "200ms")]).await;
    let [message] = &service.outbound_in(&id).await[..] else { panic!("one message") };
    assert_eq!((message.text.as_deref(), message.status()), (Some("once"), DeliveryStatus::Pending));

    // In progress for the line time-out and ten seconds, since another replica could still be at it.
    let age = SystemClock.now().timestamp() - message.created_at.as_ref().unwrap().seconds;
    let first = service.admin.send_message(request.clone()).await;
    if age < 9 {
        let details = assert_reason(first, "IDEMPOTENCY_IN_PROGRESS");
        assert!(details.retry_info().unwrap().retry_delay.is_some());
    }
    let replayed = eventually("the first call is given up", async || {
        match service.admin.send_message(request.clone()).await {
            Ok(answer) => answer.message,
            in_progress => {
                assert_reason(in_progress, "IDEMPOTENCY_IN_PROGRESS");
                None
            }
        }
    })
    .await;
    assert_eq!(replayed, *message, "the replay tells what is known: pending");
    assert_eq!(service.outbound_in(&id).await, [replayed]);
    assert_eq!(service.sent().await, [], "nothing is sent again by itself");
}
