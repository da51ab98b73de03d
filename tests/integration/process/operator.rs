//! What operators do on the command line, beside a running service and without one.

use std::time::Duration;

use inkbox_imessage::carrier_webhooks::Secret;
use inkbox_imessage::proto::*;
use tokio::time::timeout;

use crate::process::folder::Folder;
use crate::support::program::{Service, command, finish, run};
use crate::support::{assert_reason, eventually};

/// In which a revoked key no longer works.
const REVOKED: Duration = Duration::from_secs(1);
/// An id that nothing has.
const UNKNOWN: &str = "00000000-0000-7000-8000-000000000001";

async fn who(service: &Service, key: &str) -> ApiKey {
    service.caller(key).who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap()
}

#[tokio::test]
async fn a_line_with_a_carrier_that_is_not_configured_is_no_service() {
    let folder = Folder::migrated().await;
    let add = ["line", "add", "+12025550111", "--role", "pool", "--carrier", "sendblue"];
    run(&folder, &add).await.succeeded();
    let mut serve = command(&folder, &["serve"]);
    serve.env("INKBOX_LOG", "off");
    finish(serve).await.failed(2, "INKBOX_SENDBLUE_API_KEY_ID");
}

#[tokio::test]
async fn everything_is_done_without_a_service_and_is_there_when_one_starts() {
    let folder = Folder::migrated().await;
    let admin = run(&folder, &["org", "create", "org_a"]).await.secret();
    let router = run(&folder, &["key", "create", "--scope", "router"]).await.secret();
    assert_eq!(run(&folder, &["line", "add", "+12025550100", "--role", "router"]).await.succeeded(), "");
    assert_eq!(run(&folder, &["migrate"]).await.succeeded(), "");
    assert!(folder.is_free() && folder.processes().is_empty(), "{:?}", folder.processes());

    let service = Service::start(&folder, &[]).await;
    assert_eq!(who(&service, &admin).await.scope(), ApiKeyScope::Admin);
    let number = service.caller(&router).get_router_number(GetRouterNumberRequest {}).await.unwrap().number;
    assert_eq!(number, "+12025550100");
}

#[tokio::test]
async fn tables_are_not_distributed_where_there_is_no_citus() {
    let folder = Folder::migrated().await;
    let mut distribute = command(&folder, &["distribute"]);
    distribute.env("INKBOX_LOG", "off");
    finish(distribute).await.failed(1, "this database has no Citus");
    assert_eq!(run(&folder, &["org", "create", "org_a"]).await.secret().get(..4), Some("ink_"));
}

#[tokio::test]
async fn keys_of_every_scope_are_handed_over_alone_on_standard_output_and_work_at_once() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let first = run(&folder, &["org", "create", "org_a"]).await.secret();
    let request = CreateIdentityRequest { agent_handle: "agent".to_owned(), ..Default::default() };
    let identity = service.caller(&first).create_identity(request).await.unwrap().identity.unwrap().id;

    let create = ["key", "create", "--label", "a label", "--scope"];
    let admin = run(&folder, &[&create[..], &["admin", "--org", "org_a"]].concat()).await.secret();
    let of_identity = ["identity", "--org", "org_a", "--identity", &identity];
    let agent = run(&folder, &[&create[..], &of_identity].concat()).await.secret();
    let router = run(&folder, &[&create[..], &["router"]].concat()).await.secret();
    for (secret, scope, organization, of_identity) in [
        (&first, ApiKeyScope::Admin, Some("org_a"), None),
        (&admin, ApiKeyScope::Admin, Some("org_a"), None),
        (&agent, ApiKeyScope::Identity, Some("org_a"), Some(identity.as_str())),
        (&router, ApiKeyScope::Router, None, None),
    ] {
        let key = who(&service, secret).await;
        assert_eq!(key.scope(), scope);
        assert_eq!(key.organization_id.as_deref(), organization);
        assert_eq!(key.agent_identity_id.as_deref(), of_identity);
        assert!(secret.starts_with(&key.display_prefix));
        assert_eq!(key.label, if secret == &first { "first admin key" } else { "a label" });
    }

    run(&folder, &["org", "create", "org_a"]).await.failed(1, "org_a already exists");
    let of_nobody = ["admin", "--org", "org_b"];
    run(&folder, &[&create[..], &of_nobody].concat()).await.failed(1, "organization org_b does not exist");
    let of_nobody = ["identity", "--org", "org_a", "--identity", UNKNOWN];
    run(&folder, &[&create[..], &of_nobody].concat()).await.failed(1, "org_a has no identity");
}

#[tokio::test]
async fn a_revoked_key_is_refused_within_a_second_and_cannot_be_revoked_again() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let admin = run(&folder, &["org", "create", "org_a"]).await.secret();
    let router = run(&folder, &["key", "create", "--scope", "router"]).await.secret();
    for secret in [admin, router] {
        // The call before makes the service remember the key.
        let id = who(&service, &secret).await.id;
        run(&folder, &["key", "revoke", &id]).await.succeeded();
        let refused = eventually("the key is refused", async || {
            let answer = service.caller(&secret).who_am_i(WhoAmIRequest {}).await;
            answer.is_err().then(|| assert_reason(answer, "API_KEY_INVALID"))
        });
        timeout(REVOKED, refused).await.expect("refused within a second");
        run(&folder, &["key", "revoke", &id]).await.failed(1, "no active key");
    }
    run(&folder, &["key", "revoke", UNKNOWN]).await.failed(1, "no active key");
}

#[tokio::test]
async fn a_line_that_is_added_works_without_a_restart() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let router = run(&folder, &["key", "create", "--scope", "router"]).await.secret();
    let router = service.caller(&router);
    let help = ReceiveMessageRequest {
        line_number: "+12025550100".to_owned(),
        remote_number: "+15551230001".to_owned(),
        text: Some("help".to_owned()),
        provider_message_id: "1".to_owned(),
        ..Default::default()
    };
    assert_reason(router.receive_message(help.clone()).await, "NOT_FOUND");

    let add = async |number: &str, role: &str| run(&folder, &["line", "add", number, "--role", role]).await;
    add("+12025550100", "router").await.succeeded();
    assert_eq!(router.receive_message(help).await.unwrap().outcome(), ReceiveOutcome::Help);
    add("+12025550101", "pool").await.succeeded();
    add("+12025550101", "pool").await.failed(1, "is already a line");
    add("+12025550100", "pool").await.failed(1, "is already a line");
    add("+12025550102", "router").await.failed(1, "a router line already exists");
    add("12025550103", "pool").await.failed(2, "12025550103");

    let log = std::fs::read_to_string(folder.path().join("postgres.log")).unwrap();
    assert!(!log.contains("ERROR") && !log.contains("12025550"), "{log}");
}

#[tokio::test]
async fn the_carrier_of_a_line_must_be_named_once_there_is_one_besides_the_sandbox() {
    let folder = Folder::migrated().await;
    let _service = Service::start(&folder, &[]).await;
    let add = async |arguments: &[&str], configured: bool| {
        let mut command = command(&folder, &[&["line", "add"], arguments].concat());
        if configured {
            command.env("INKBOX_SENDBLUE_API_KEY_ID", "key");
        }
        finish(command).await
    };
    add(&["+12025550100", "--role", "router"], false).await.succeeded();
    add(&["+12025550101", "--role", "pool"], true).await.failed(2, "--carrier is required");
    add(&["+12025550101", "--role", "pool", "--carrier", "bluebubbles"], false).await.succeeded();
    add(&["+12025550102", "--role", "pool"], false).await.failed(2, "--carrier is required");
    add(&["+12025550102", "--role", "pool", "--carrier", "sandbox"], true).await.succeeded();

    let urls = ["line", "urls", "--base", "https://hooks.example/", "--bluebubbles-webhook-secret"];
    let secret = "a-secret-of-some-length";
    let printed = run(&folder, &[&urls[..], &[secret]].concat()).await.secret();
    let token = secret.parse::<Secret>().unwrap().of_line("+12025550101").unwrap();
    assert_eq!(
        printed.trim(),
        format!("https://hooks.example/webhooks/bluebubbles/+12025550101?token={}", token.reveal())
    );
    run(&folder, &[&urls[..], &["short"]].concat()).await.failed(2, "16 characters");
}

#[tokio::test]
async fn migrate_can_be_repeated_beside_a_running_service() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    for _ in 0..2 {
        assert_eq!(run(&folder, &["migrate"]).await.succeeded(), "");
    }
    service.until_health_is(Some("SERVING")).await;
}

#[tokio::test]
async fn health_exits_0_when_serving_and_1_otherwise() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let address = service.address.to_string();
    let health = async |arguments: &[&str]| {
        let mut health = command(&folder, &[&["health"], arguments].concat());
        health.env("INKBOX_LISTEN", &address);
        finish(health).await
    };
    assert_eq!(health(&[]).await.succeeded(), "");
    health(&["--service", "inkbox.imessage.v1.ConversationService"]).await.succeeded();
    health(&["--service", "inkbox.imessage.v1.Nonsense"]).await.failed(2, "no health entry");
    // On every address means on the loopback one as well.
    let everywhere = format!("0.0.0.0:{}", service.address.port());
    health(&["--listen", &everywhere]).await.succeeded();
    service.stop().await;
    health(&[]).await.failed(1, "nothing answers");
}
