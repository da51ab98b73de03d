//! Look-ups of the same moment go together in one statement, and each caller gets an answer of its own.

use std::time::Duration;

use futures_util::future::join_all;
use inkbox_imessage::domain::LineRole;
use inkbox_imessage::proto::{GetConversationRequest, GetConversationResponse};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::callers::Caller;
use crate::support::proxy::{Proxy, Weather};
use crate::support::{Human, TestApp, assert_reason, database, eventually};

/// One way to the database: one after the other on one session, a tenth of the calls below would use up the time of all.
const DELAY: Duration = Duration::from_millis(60);
/// In which every call is answered while the database is not.
const ANSWERED: Duration = Duration::from_secs(3);

/// A service with a single session, far from its database.
async fn far() -> (TestApp, Proxy) {
    let direct = database::fresh().await;
    let proxy = Proxy::unix(&direct);
    let app = TestApp::on(proxy.options(&direct), |settings| settings.sessions = 1).await;
    app.add_line(ROUTER_LINE, LineRole::Router).await;
    for line in POOL_LINES {
        app.add_line(line, LineRole::Pool).await;
    }
    (app, proxy)
}

fn slow() -> Weather {
    Weather { delay: DELAY, steady: true, ..Weather::default() }
}

async fn get(caller: &Caller, id: &str) -> Result<GetConversationResponse, Status> {
    let request = GetConversationRequest { conversation_id: id.to_owned(), agent_identity_id: None };
    caller.get_conversation(request).await
}

#[tokio::test]
async fn each_caller_of_many_at_once_gets_its_own_answer_and_they_share_statements() {
    let (app, proxy) = far().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    let mut ids = vec![Uuid::from_u128(1).to_string()];
    for identity in [&mine, &sibling, &foreign] {
        ids.push(human.converses(identity, "hello").await.1);
    }
    let [absent, of_mine, of_sibling, of_foreign] = &ids[..] else { unreachable!() };
    let callers = [
        (app.admin("org_a").await, vec![of_mine, of_sibling]),
        (app.agent(&mine).await, vec![of_mine]),
        (app.agent(&sibling).await, vec![of_sibling]),
        (app.admin("org_b").await, vec![of_foreign]),
    ];
    // So that their keys are known.
    for (caller, visible) in &callers {
        get(caller, visible[0]).await.unwrap();
    }

    proxy.set(slow());
    let calls = callers.iter().flat_map(|(caller, visible)| {
        let ids = [absent, of_mine, of_sibling, of_foreign].repeat(8);
        ids.into_iter().map(async move |id| (visible.contains(&id), id.clone(), get(caller, id).await))
    });
    for (is_visible, id, answer) in join_all(calls).await {
        if is_visible {
            assert_eq!(answer.unwrap().conversation.unwrap().id, id);
        } else {
            assert_reason(answer, "NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_takes_no_answer_from_others() {
    let (app, proxy) = far().await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    get(&agent, &id).await.unwrap();

    proxy.set(slow());
    let calls = (0..24_u32).map(|n| {
        let (agent, id) = (&agent, &id);
        async move {
            // Some while their statement is under way, some while they wait for it.
            let patience = if n % 2 == 0 { DELAY / 2 * (n % 6) } else { ANSWERED };
            timeout(patience, get(agent, id)).await.ok()
        }
    });
    for (n, answer) in join_all(calls).await.into_iter().enumerate() {
        match answer {
            Some(answer) => assert_eq!(answer.unwrap().conversation.unwrap().id, id),
            None => assert!(n % 2 == 0, "{n} has waited in vain"),
        }
    }
}

#[tokio::test]
async fn all_who_wait_for_a_database_that_does_not_answer_are_told_in_time() {
    let (app, proxy) = far().await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    get(&agent, &id).await.unwrap();

    proxy.set(Weather { stalled: true, ..Weather::default() });
    let asked = Instant::now();
    for answer in join_all((0..24).map(|_| get(&agent, &id))).await {
        assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
    }
    assert!(asked.elapsed() < ANSWERED, "{:?}", asked.elapsed());
    proxy.set(Weather::default());
    eventually("conversations can be read again", async || get(&agent, &id).await.ok()).await;
}
