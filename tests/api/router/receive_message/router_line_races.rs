use std::collections::BTreeSet;

use futures_util::future::join_all;
use inkbox_imessage::domain::LineRole;
use inkbox_imessage::proto::{Identity, ReceiveMessageResponse, ReceiveOutcome};
use sqlx::ConnectOptions as _;
use uuid::Uuid;

use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::locks::{commit, locking, until_waiting};
use crate::support::snapshot::numbers;
use crate::support::{Human, TestApp, assert_reason, database, invariants};

/// Races are run for so many humans, each of whom starts with no connection.
const ROUNDS: usize = 5;

/// Texts all of these at once, each with a provider id of its own.
async fn at_once(human: &Human, commands: Vec<String>) -> Vec<ReceiveMessageResponse> {
    let texts = commands.iter().map(|words| human.router.receive_message(human.text(ROUTER_LINE, words)));
    join_all(texts).await.into_iter().map(Result::unwrap).collect()
}

fn connect(identity: &Identity) -> String {
    format!("connect @{}", identity.agent_handle)
}

/// Asserts that the active connections, their routes and the lines' loads are as many.
async fn assert_counts(app: &TestApp, active: usize) {
    let counted = numbers(
        &app.pool,
        "SELECT count(*) FROM connections WHERE released_at IS NULL
         UNION ALL SELECT count(*) FROM routes
         UNION ALL SELECT sum(active_connections) FROM lines",
    )
    .await;
    assert_eq!(counted, [i64::try_from(active).unwrap(); 3]);
    invariants::hold(app).await;
}

#[tokio::test]
async fn connects_of_one_human_to_one_agent_make_one_connection() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for round in 0..ROUNDS {
        let human = Human::new(&app, &format!("+1555123000{round}")).await;
        let answers = at_once(&human, vec![connect(&identity); 8]).await;
        assert_eq!(answers[0].outcome(), ReceiveOutcome::Connected);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_counts(&app, round + 1).await;
    }
}

/// The faster one is made by hand, on a line that a connect does not choose, and ends when the slower one waits for it.
#[tokio::test]
async fn the_slower_of_two_connects_of_the_same_two_tells_of_the_faster_one_and_leaves_nothing() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let connection = "INSERT INTO connections
        SELECT organization_id, '00000000-0000-7000-8000-000000000001', id, $2, '+15551230001', NULL, now(), now()
        FROM identities WHERE organization_id = 'org_a' AND id = $1";
    let route =
        "INSERT INTO routes VALUES ($2, '+15551230001', 'org_a', $1, '00000000-0000-7000-8000-000000000001')";
    let remembered = "INSERT INTO routed_organizations VALUES ($2, '+15551230001', 'org_a')";
    let counted = "UPDATE lines SET active_connections = 1 WHERE number = $2";
    let mut faster = app.options.connect().await.unwrap();
    sqlx::query("BEGIN").execute(&mut faster).await.unwrap();
    for statement in [route, remembered, connection, counted] {
        let id = Uuid::try_parse(&identity.id).unwrap();
        sqlx::query(statement).bind(id).bind(POOL_LINES[1]).execute(&mut faster).await.unwrap();
    }
    let connecting = tokio::spawn({
        let (human, command) = (human.clone(), connect(&identity));
        async move { at_once(&human, vec![command]).await }
    });
    until_waiting(&app, 1).await;
    commit(faster).await;
    let answer = connecting.await.unwrap().remove(0);
    assert_eq!(answer.outcome(), ReceiveOutcome::Connected);
    assert_eq!(answer.line_number(), POOL_LINES[1]);
    assert_eq!(numbers(&app.pool, "SELECT count(*) FROM routed_organizations").await, [1]);
    assert_counts(&app, 1).await;
}

#[tokio::test]
async fn connects_to_one_agent_are_all_connected_when_one_pool_line_is_free() {
    let app = TestApp::builder().database(database::fresh().await).start().await;
    app.add_line(ROUTER_LINE, LineRole::Router).await;
    app.add_line(POOL_LINES[0], LineRole::Pool).await;
    let identity = app.identity("org_a").await;
    for round in 0..ROUNDS {
        let human = Human::new(&app, &format!("+1555123000{round}")).await;
        let answers = at_once(&human, vec![connect(&identity); 8]).await;
        assert_eq!(answers[0].outcome(), ReceiveOutcome::Connected);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_counts(&app, round + 1).await;
    }
}

#[tokio::test]
async fn connects_of_one_human_to_different_agents_get_different_lines() {
    let app = TestApp::start().await;
    let mut commands = Vec::new();
    for organization in ["org_a", "org_b", "org_a"] {
        commands.push(connect(&app.identity(organization).await));
    }
    for round in 0..ROUNDS {
        let human = Human::new(&app, &format!("+1555123000{round}")).await;
        let answers = at_once(&human, commands.clone()).await;
        let lines: BTreeSet<_> = answers.iter().map(ReceiveMessageResponse::line_number).collect();
        assert_eq!(lines, BTreeSet::from(POOL_LINES), "{answers:?}");
        assert_counts(&app, 3 * (round + 1)).await;
    }
}

#[tokio::test]
async fn connects_to_more_agents_than_there_are_lines_fill_the_lines_and_refuse_the_rest() {
    let app = TestApp::start().await;
    let mut commands = Vec::new();
    for _ in 0..6 {
        commands.push(connect(&app.identity("org_a").await));
    }
    for round in 0..ROUNDS {
        let human = Human::new(&app, &format!("+1555123000{round}")).await;
        let answers = at_once(&human, commands.clone()).await;
        let of = |outcome| answers.iter().filter(move |answer| answer.outcome() == outcome);
        assert_eq!(of(ReceiveOutcome::Refused).count(), 3, "{answers:?}");
        let lines: BTreeSet<_> =
            of(ReceiveOutcome::Connected).map(ReceiveMessageResponse::line_number).collect();
        assert_eq!(lines, BTreeSet::from(POOL_LINES), "{answers:?}");
        assert_counts(&app, 3 * (round + 1)).await;
    }
}

#[tokio::test]
async fn connects_and_disconnects_all_do_as_they_say_and_leave_every_count_agreeing() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let disconnect = format!("disconnect @{}", identity.agent_handle);
    let human = Human::new(&app, "+15551230001").await;
    // Many, since what can go wrong needs a connect and a disconnect between two statements of another connect.
    for _ in 0..5 * ROUNDS {
        let commands = (0..24).map(|i| if i % 2 == 0 { connect(&identity) } else { disconnect.clone() });
        let answers = at_once(&human, commands.collect()).await;
        for (i, answer) in answers.iter().enumerate() {
            let expected = match answer.outcome() {
                ReceiveOutcome::Connected => i % 2 == 0,
                ReceiveOutcome::Disconnected | ReceiveOutcome::Refused => i % 2 == 1,
                _ => false,
            };
            assert!(expected, "{i}: {answer:?}");
        }
        // The last command decides, so send one with a known end.
        human.commands(&disconnect).await;
        assert_counts(&app, 0).await;
    }
}

#[tokio::test]
async fn a_connect_to_a_line_that_is_being_removed_leaves_nothing_and_its_retry_gets_another_line() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let removal =
        locking(&app, "BEGIN; DELETE FROM lines WHERE number = '+12025550101' AND active_connections = 0")
            .await;
    let command = human.text(ROUTER_LINE, &connect(&identity));
    let connecting = human.router.receive_message(command.clone());
    let (refused, ()) = tokio::join!(connecting, async {
        until_waiting(&app, 1).await;
        commit(removal).await;
    });
    assert_reason(refused, "STORAGE_UNAVAILABLE");
    assert_counts(&app, 0).await;
    let answer = human.router.receive_message(command).await.unwrap();
    assert_eq!(answer.line_number.as_deref(), Some(POOL_LINES[1]));
    assert_counts(&app, 1).await;
}
