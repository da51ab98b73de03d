//! The start: when calls are answered, and what is said where something is missing.

use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use inkbox_imessage::proto::WhoAmIRequest;
use nix::unistd::geteuid;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use tokio::process::Command;
use tokio::time::timeout;
use tonic::Code;

use crate::process::folder::Folder;
use crate::support::database;
use crate::support::program::{Service, command, finish};
use crate::support::proxy::{NetworkState, Proxy};

/// Longer than a call takes that is refused because the database was not asked yet.
const REFUSED: Duration = Duration::from_millis(300);

fn url(options: &PgConnectOptions) -> String {
    let folder = options.get_socket().unwrap().to_str().unwrap();
    let database = options.get_database().unwrap();
    format!("postgres://{}@localhost:{}/{database}?host={folder}", options.get_username(), options.get_port())
}

/// Without what tells a process where its user's files are, and not as root, who has a folder anyway.
fn without_home(folder: &Folder, arguments: &[&str]) -> Command {
    let mut serve = command(folder, arguments);
    serve.env_remove("INKBOX_DATA_DIR").env_remove("XDG_DATA_HOME").env("HOME", "");
    if geteuid().is_root() {
        serve.as_std_mut().uid(65532).gid(65532);
    }
    serve
}

#[tokio::test]
async fn a_call_that_comes_before_the_first_answer_of_the_database_waits_for_it() {
    let direct = database::fresh().await;
    let proxy = Proxy::unix(&direct);
    proxy.set(NetworkState { stalled: true, ..NetworkState::default() });
    let mut serve = command(&Folder::empty(), &["serve"]);
    serve.env("DATABASE_URL", url(&proxy.options(&direct)));
    let service = Service::launch(serve).await;
    let caller = service.caller("ink_unknownunknownunknownunknownunknownunknown0");
    let call = caller.who_am_i(WhoAmIRequest {});
    let mut call = std::pin::pin!(call);
    assert!(timeout(REFUSED, &mut call).await.is_err(), "answered before the database was");
    proxy.set(NetworkState::default());
    assert_eq!(call.await.unwrap_err().code(), Code::Unauthenticated);
    service.stop().await;
}

#[tokio::test]
async fn calls_are_refused_and_liveness_is_answered_where_the_database_does_not_answer_at_all() {
    let mut serve = command(&Folder::empty(), &["serve"]);
    serve.env("DATABASE_URL", "postgres://inkbox@127.0.0.1:1/inkbox");
    let service = Service::launch(serve).await;
    service.until_health_is(Some("NOT_SERVING")).await;
    let caller = service.caller("ink_unknownunknownunknownunknownunknownunknown0");
    assert_eq!(caller.who_am_i(WhoAmIRequest {}).await.unwrap_err().code(), Code::Unavailable);
    service.stop().await;
}

#[tokio::test]
async fn without_a_database_url_and_a_place_for_a_database_the_variable_is_named() {
    let folder = Folder::empty();
    finish(without_home(&folder, &["serve"])).await.failed(2, "DATABASE_URL is not set");
    finish(without_home(&folder, &["org", "create", "org_a"])).await.failed(2, "DATABASE_URL is not set");
    // A folder that nobody can create.
    let mut serve = without_home(&folder, &["serve"]);
    serve.env("INKBOX_DATA_DIR", "/proc/inkbox");
    finish(serve).await.failed(1, "DATABASE_URL is not set");
}

#[tokio::test]
async fn a_fatal_error_has_the_format_of_the_log() {
    let folder = Folder::empty();
    for (arguments, variable, code, words) in [
        (&["serve", "--log-format", "json"][..], ("INKBOX_LISTEN", "203.0.113.1:1"), 1, "cannot listen on"),
        (&["serve", "--log-format=json"], ("DATABASE_URL", "nonsense"), 2, "DATABASE_URL"),
        (&["serve", "--nonsense"], ("INKBOX_LOG_FORMAT", "json"), 2, "--nonsense"),
        (&["org", "create", ""], ("INKBOX_LOG_FORMAT", "json"), 2, "organization id"),
    ] {
        let mut failing = command(&folder, arguments);
        failing.env(variable.0, variable.1);
        let ended = finish(failing).await;
        let line: Value =
            serde_json::from_str(&ended.stderr).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        assert_eq!(line["level"], "ERROR", "{line}");
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        let message = line["message"].as_str().unwrap();
        assert!(!message.starts_with("error:"), "{message}");
        ended.failed(code, words);
    }
}

#[tokio::test]
async fn a_variable_that_is_no_setting_is_named_in_a_warning() {
    let folder = Folder::migrated().await;
    let mut serve = command(&folder, &["serve"]);
    serve.env("INKBOX_DRAIN_LIMITS", "1s").env("INKBOX_IMESSAGE_WEBHOOKS_SERVICE_HOST", "10.0.0.1");
    let output = Service::spawn(serve).await.stop().await;
    let warnings: Vec<_> = output.lines().filter(|line| line.contains("no setting has this name")).collect();
    assert_eq!(warnings.len(), 1, "{output}");
    assert!(warnings[0].contains("INKBOX_DRAIN_LIMITS"), "{warnings:?}");
}
