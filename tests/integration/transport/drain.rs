use std::time::Duration;

use inkbox_imessage::proto::*;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::callers::Caller;
use crate::support::{Human, PATIENCE, TestApp, eventually};
use crate::transport::frames::Wire;

/// The sandbox takes 2 s for these, and never answers for that.
const SLOW: &str = "+15005550003";
const NEVER_ANSWERS: &str = "+15005550004";
/// In which a drain is over that has nothing to wait for.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Marks a conversation with this human read; returns once the line has the receipt but has not answered.
async fn mark_under_way(
    app: &TestApp,
    human: &str,
) -> JoinHandle<Result<MarkConversationReadResponse, Status>> {
    let identity = app.identity("org_a").await;
    let (_, conversation_id) = Human::new(app, human).await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    let request =
        MarkConversationReadRequest { conversation_id: conversation_id.clone(), ..Default::default() };
    let marking = tokio::spawn(async move { agent.mark_conversation_read(request).await });
    let admin = app.admin("org_a").await;
    eventually("the line has the receipt", async || {
        let request =
            ListDeliveriesRequest { conversation_id: Some(conversation_id.clone()), ..Default::default() };
        let deliveries = admin.list_deliveries(request).await.unwrap().deliveries;
        (!deliveries.is_empty()).then_some(())
    })
    .await;
    marking
}

/// Makes identities until the service is not there any more; gives how many it was told that it made.
async fn make_identities(caller: Caller, name: usize) -> u32 {
    let mut made = 0;
    loop {
        let agent_handle = format!("made-{name}-{made}");
        match caller.create_identity(CreateIdentityRequest { agent_handle, ..Default::default() }).await {
            Ok(_) => made += 1,
            Err(refused) => {
                // The second code is the client's word for a call that met the end of the connection and was not taken.
                assert!(matches!(refused.code(), Code::Unavailable | Code::Internal), "{refused:?}");
                assert!(refused.code() == Code::Unavailable || format!("{refused:?}").contains("GoAway"));
                return made;
            }
        }
    }
}

#[tokio::test]
async fn calls_under_way_are_answered_and_none_is_done_without_an_answer() {
    let mut app = TestApp::with(|settings| {
        settings.line_time_out = Duration::from_secs(10);
        settings.drain.grace = Duration::from_millis(1_500);
        settings.drain.finish = Duration::from_secs(10);
    })
    .await;
    let marking = mark_under_way(&app, SLOW).await;
    let admin = app.admin("org_b").await;
    let mut makers = Vec::new();
    for name in 0..8 {
        let caller = Caller::new(app.channel(), admin.secret.clone());
        makers.push(tokio::spawn(make_identities(caller, name)));
    }
    let count = "SELECT count(*) FROM identities WHERE organization_id = 'org_b'";
    eventually("the makers are at it", async || {
        let rows: i64 = sqlx::query_scalar(count).fetch_one(&app.pool).await.unwrap();
        (rows > 20).then_some(())
    })
    .await;

    let watched = HealthClient::new(app.channel()).watch(HealthCheckRequest::default()).await;
    let mut watched = watched.unwrap().into_inner();
    watched.message().await.unwrap();
    app.stop.cancel();
    // In order: not serving, calls for as long as the grace, then none any more, then the end of the slow one.
    assert_eq!(watched.message().await.unwrap().unwrap().status().as_str_name(), "NOT_SERVING");
    assert_eq!((app.health("").await, app.health("liveness").await), (Some("NOT_SERVING"), Some("SERVING")));
    assert!(admin.who_am_i(WhoAmIRequest {}).await.is_ok(), "calls are taken in the grace");
    assert_eq!(watched.message().await.unwrap_err().code(), Code::Unavailable);
    let mut made = 0;
    for maker in makers {
        made += timeout(PATIENCE, maker).await.expect("calls are refused now").unwrap();
    }
    // On a slow machine it has its answer by now; never does the service end before.
    assert!(marking.is_finished() || !app.running.is_finished());
    assert_eq!(app.health("").await, None);

    assert_eq!(marking.await.unwrap().unwrap().updated_count, 1);
    timeout(AT_ONCE, &mut app.running).await.expect("the end").unwrap().unwrap();
    let rows: i64 = sqlx::query_scalar(count).fetch_one(&app.pool).await.unwrap();
    assert_eq!(rows, i64::from(made), "every call that was done was answered");
}

#[tokio::test]
async fn only_calls_hold_up_the_end() {
    let mut app = TestApp::with(|settings| settings.drain.finish = Duration::from_mins(1)).await;
    let _silent = TcpStream::connect(app.address).await.unwrap();
    // This one has spoken HTTP/2, and will not answer our farewell.
    let _mute = Wire::open(app.address).await;
    let idle = app.admin("org_a").await;
    idle.who_am_i(WhoAmIRequest {}).await.unwrap();
    let mut watching = HealthClient::new(app.channel());
    let mut watched = watching.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watched.message().await.unwrap();

    let told = Instant::now();
    app.stop.cancel();
    timeout(AT_ONCE, &mut app.running).await.expect("the end").unwrap().unwrap();
    assert!(told.elapsed() < AT_ONCE);
}

#[tokio::test]
async fn calls_that_do_not_end_are_cut_at_the_limit() {
    let mut app = TestApp::with(|settings| {
        settings.line_time_out = Duration::from_mins(5);
        settings.drain.finish = Duration::from_millis(500);
    })
    .await;
    let marking = mark_under_way(&app, NEVER_ANSWERS).await;
    let told = Instant::now();
    app.stop.cancel();
    timeout(AT_ONCE, &mut app.running).await.expect("the end").unwrap().unwrap();
    assert!(told.elapsed() > Duration::from_millis(500));
    assert!(marking.await.unwrap().is_err());
}
