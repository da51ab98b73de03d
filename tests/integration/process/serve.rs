//! How the service ends: in order when it is told to, at once when it is told twice, and without leaving anything
//! behind when it is killed.

use std::time::{Duration, Instant};

use inkbox_imessage::proto::*;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Status;

use crate::process::demo;
use crate::process::folder::Folder;
use crate::support::callers::Caller;
use crate::support::eventually;
use crate::support::program;
use crate::support::program::{Service, command, finish};

/// The sandbox's number that takes 2 s, and the one that never answers.
const SLOW: &str = "+15005550003";
const NEVER_ANSWERS: &str = "+15005550004";
/// Bounds of a drain in these tests: a little longer than the slow number.
const GRACE: &str = "500ms";
const LIMIT: &str = "4s";
/// In which the whole of it must be over, with the shutdown of the database.
const DRAINED: Duration = Duration::from_secs(9);
/// In which everything is over when the drain is skipped, or the process killed.
const AT_ONCE: Duration = Duration::from_secs(4);

/// A service, an admin of the demo, and a conversation of its agent.
struct Setting {
    service: Service,
    admin: Caller,
    conversation_id: String,
}

/// A service with the demo, whose agent has a conversation with this human.
async fn with_conversation(folder: &Folder, human: &str) -> Setting {
    let mut command = command(folder, &["serve", "--demo"]);
    command.env("INKBOX_DRAIN_GRACE", GRACE).env("INKBOX_DRAIN_LIMIT", LIMIT);
    let service = Service::spawn(command).await;
    let page = demo::page(&service).await;
    let router = service.caller(&demo::key(&page, "router"));
    let text = |line_number: String, words: &str, provider_message_id: &str| ReceiveMessageRequest {
        line_number,
        remote_number: human.to_owned(),
        text: Some(words.to_owned()),
        provider_message_id: provider_message_id.to_owned(),
        ..Default::default()
    };
    let router_line = router.get_router_number(GetRouterNumberRequest {}).await.unwrap().number;
    let connected = router.receive_message(text(router_line, "connect @demo", "connect")).await.unwrap();
    let said = router.receive_message(text(connected.line_number.unwrap(), "hello", "hello")).await.unwrap();
    let admin = service.caller(&demo::key(&page, "admin"));
    Setting { service, admin, conversation_id: said.conversation_id.unwrap() }
}

/// Marks the conversation read; returns once the line has the receipt but has not answered.
async fn mark_under_way(
    Setting { admin, conversation_id, .. }: &Setting,
) -> JoinHandle<Result<MarkConversationReadResponse, Status>> {
    let request =
        MarkConversationReadRequest { conversation_id: conversation_id.clone(), ..Default::default() };
    let caller = admin.clone();
    let marking = tokio::spawn(async move { caller.mark_conversation_read(request).await });
    let request =
        ListDeliveriesRequest { conversation_id: Some(conversation_id.clone()), ..Default::default() };
    eventually("the line has the receipt", async || {
        let deliveries = admin.list_deliveries(request.clone()).await.unwrap().deliveries;
        (!deliveries.is_empty()).then_some(())
    })
    .await;
    marking
}

#[tokio::test]
async fn the_first_sigterm_lets_calls_finish_and_nothing_else_holds_up_the_end() {
    let folder = Folder::migrated().await;
    let setting = with_conversation(&folder, SLOW).await;
    let service = &setting.service;
    let _silent = TcpStream::connect(service.address).await.unwrap();
    let marking = mark_under_way(&setting).await;

    let told = Instant::now();
    service.signal("-TERM");
    service.until_health_is(Some("NOT_SERVING")).await;
    assert!(!marking.is_finished());
    assert_eq!(marking.await.unwrap().unwrap().updated_count, 1);
    let (status, output) = setting.service.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(told.elapsed() < DRAINED, "{:?}", told.elapsed());
    assert!(folder.is_free() && folder.processes().is_empty(), "{:?}", folder.processes());
}

#[tokio::test]
async fn the_second_sigterm_ends_it_at_once() {
    let folder = Folder::migrated().await;
    let setting = with_conversation(&folder, NEVER_ANSWERS).await;
    let service = &setting.service;
    let marking = mark_under_way(&setting).await;

    service.signal("-TERM");
    service.until_health_is(Some("NOT_SERVING")).await;
    let told = Instant::now();
    service.signal("-TERM");
    let (status, output) = setting.service.ended().await;
    assert!(told.elapsed() < AT_ONCE, "{:?}", told.elapsed());
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(marking.await.unwrap().is_err());
    assert!(folder.is_free() && folder.processes().is_empty(), "{:?}", folder.processes());
}

#[tokio::test]
async fn a_killed_service_leaves_no_process_behind_and_no_data_is_lost() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let key = program::run(&folder, &["org", "create", "org_a"]).await.secret();
    let request = CreateIdentityRequest { agent_handle: "agent".to_owned(), ..Default::default() };
    service.caller(&key).create_identity(request).await.unwrap();
    assert!(!folder.is_free() && !folder.processes().is_empty());

    service.signal("-KILL");
    service.ended().await;
    let gone = eventually("the database is gone", async || {
        (folder.is_free() && folder.processes().is_empty()).then_some(())
    });
    timeout(AT_ONCE, gone).await.expect("the database is gone at once");

    // And again, with no time between the two.
    let service = Service::start(&folder, &[]).await;
    service.signal("-KILL");
    service.ended().await;
    let service = Service::start(&folder, &[]).await;
    let identities = service.caller(&key).list_identities(ListIdentitiesRequest::default()).await.unwrap();
    assert_eq!(identities.identities[0].agent_handle, "agent");
}

#[tokio::test]
async fn an_empty_folder_is_all_that_the_program_needs() {
    let folder = Folder::empty();
    let service = Service::spawn(command(&folder, &[])).await;
    assert!(service.caller("ink_nobody").who_am_i(WhoAmIRequest {}).await.is_err());
    service.stop().await;
    assert!(folder.is_free() && folder.processes().is_empty());
}

#[tokio::test]
async fn a_second_service_on_the_same_folder_or_address_is_refused_and_harms_nothing() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let second = program::run(&folder, &["serve"]).await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("in use by another process"), "{second:?}");

    let mut same_address = command(&Folder::empty(), &["serve"]);
    same_address.env("INKBOX_LISTEN", service.address.to_string());
    program::finish(same_address).await.failed(1, "cannot listen on");
    service.until_health_is(Some("SERVING")).await;
}

#[tokio::test]
async fn a_background_task_that_fails_ends_the_process_with_exit_code_1_and_is_named_in_the_log() {
    let folder = Folder::empty();
    let mut serve = command(&folder, &["serve"]);
    // The monitor finds a schema that is older than the program.
    serve.env("INKBOX_MIGRATE", "false");
    let ended = finish(serve).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for words in ["background task failed", "database monitor", "run `inkbox-imessage migrate`"] {
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
}
