//! Commands that list and change what operators look after: organizations, keys, identities and contact rules.

use inkbox_imessage::proto::*;
use serde_json::Value;

use crate::process::folder::Folder;
use crate::support::assert_reason;
use crate::support::program::{Service, command, finish, run};

/// Runs a listing command as a program does.
async fn list(folder: &Folder, arguments: &[&str]) -> Vec<Value> {
    let printed = run(folder, &[arguments, &["--output", "json"]].concat()).await.succeeded();
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// Runs a command that cannot be done. Without the log, which tells of the private PostgreSQL.
async fn fails(folder: &Folder, arguments: &[&str], code: i32, words: &str) {
    let mut failing = command(folder, arguments);
    failing.env("INKBOX_LOG", "off");
    finish(failing).await.failed(code, words);
}

/// Runs a command that says the id of what it created.
async fn create(folder: &Folder, arguments: &[&str]) -> String {
    let ended = run(folder, arguments).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    ended.stderr.trim().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn organizations_are_listed_as_a_table_and_as_json() {
    let folder = Folder::migrated().await;
    for org in ["org_b", "org_a"] {
        run(&folder, &["org", "create", org]).await.secret();
    }
    let rows = list(&folder, &["org", "list"]).await;
    assert_eq!(rows.iter().map(|row| &row["id"]).collect::<Vec<_>>(), ["org_a", "org_b"]);
    let table = run(&folder, &["org", "list"]).await.succeeded();
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("ID     CREATED_AT") && lines[1].starts_with("org_a  2"), "{table}");
    assert_eq!(lines.len(), 3);
}

#[tokio::test]
async fn keys_are_listed_without_their_secrets_expire_and_are_rotated() {
    let folder = Folder::migrated().await;
    let admin = run(&folder, &["org", "create", "org_a"]).await.secret();
    let create_router = ["key", "create", "--scope", "router", "--label", "carrier", "--expires", "90d"];
    let router = run(&folder, &create_router).await.secret();
    let keys = list(&folder, &["key", "list", "--org", "org_a"]).await;
    assert_eq!(keys.len(), 1);
    assert_eq!((&keys[0]["scope"], &keys[0]["expires_at"]), (&"admin".into(), &Value::Null));
    let routers = list(&folder, &["key", "list", "--router"]).await;
    assert_eq!(routers[0]["label"], "carrier");
    assert!(
        routers[0]["expires_at"].as_str().is_some_and(|at| at > routers[0]["created_at"].as_str().unwrap())
    );
    let printed = run(&folder, &["key", "list", "--router"]).await.succeeded();
    assert!(!printed.contains(&router) && printed.contains("carrier"), "{printed}");
    fails(&folder, &["key", "list"], 2, "--org").await;
    fails(&folder, &["key", "list", "--org", "org_x"], 1, "org_x does not exist").await;

    let service = Service::start(&folder, &[]).await;
    let first = keys[0]["id"].as_str().unwrap();
    let second = run(&folder, &["key", "rotate", first]).await.secret();
    for secret in [&admin, &second] {
        let key = service.caller(secret).who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap();
        assert_eq!((key.label.as_str(), key.scope()), ("first admin key", ApiKeyScope::Admin));
    }
    let third = run(&folder, &["key", "rotate", first, "--revoke", "--expires", "12h"]).await.secret();
    let key = service.caller(&third).who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap();
    assert!(key.expires_at.is_some());
    fails(&folder, &["key", "rotate", first], 1, "no active key").await;
    let of_router = routers[0]["id"].as_str().unwrap();
    run(&folder, &["key", "rotate", of_router]).await.secret();
    assert_eq!(list(&folder, &["key", "list", "--router"]).await.len(), 2);
    service.stop().await;
}

#[tokio::test]
async fn identities_and_rules_are_created_listed_and_changed() {
    let folder = Folder::migrated().await;
    let admin = run(&folder, &["org", "create", "org_a"]).await.secret();
    let of_org = ["--org", "org_a"];
    let make = ["identity", "create", "@SalesBot", "--name", "Sales", "--org", "org_a"];
    let identity = create(&folder, &make).await;
    fails(&folder, &make, 1, "another identity has this handle").await;
    fails(&folder, &["identity", "create", "a b", "--org", "org_a"], 2, "the handle must be").await;
    let identities = list(&folder, &[&["identity", "list"], &of_org[..]].concat()).await;
    assert_eq!(identities[0]["id"], identity.as_str());
    assert_eq!((&identities[0]["handle"], &identities[0]["name"]), (&"SalesBot".into(), &"Sales".into()));
    assert_eq!(identities[0]["enabled"], true);

    let block =
        ["rule", "create", "block", "+15551230001", "--org", "org_a", "--identity", identity.as_str()];
    let rule = create(&folder, &block).await;
    fails(&folder, &block, 1, &rule).await;
    let rules = list(&folder, &["rule", "list", "--org", "org_a", "--identity", &identity]).await;
    assert_eq!((&rules[0]["id"], &rules[0]["action"]), (&rule.as_str().into(), &"block".into()));
    assert_eq!(rules[0]["number"], "+15551230001");

    let service = Service::start(&folder, &[]).await;
    let admin = service.caller(&admin);
    let seen = admin.list_contact_rules(ListContactRulesRequest::default()).await.unwrap();
    assert_eq!(seen.contact_rules[0].id, rule);
    let listed =
        || ListConversationsRequest { agent_identity_id: Some(identity.clone()), ..Default::default() };
    admin.list_conversations(listed()).await.unwrap();
    run(&folder, &["identity", "disable", &identity, "--org", "org_a"]).await.succeeded();
    assert_reason(admin.list_conversations(listed()).await, "IDENTITY_NOT_ENABLED");
    run(&folder, &["identity", "enable", &identity, "--org", "org_a"]).await.succeeded();
    admin.list_conversations(listed()).await.unwrap();
    run(&folder, &["rule", "delete", &rule, "--org", "org_a"]).await.succeeded();
    fails(&folder, &["rule", "delete", &rule, "--org", "org_a"], 1, "has no rule").await;
    assert!(list(&folder, &["rule", "list", "--org", "org_a"]).await.is_empty());
    // Of another organization.
    fails(&folder, &["identity", "disable", &identity, "--org", "org_b"], 1, "has no identity").await;
    service.stop().await;
}

#[tokio::test]
async fn completion_and_manual_pages_cover_every_command() {
    let folder = Folder::empty();
    for (shell, words) in [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")] {
        let script = run(&folder, &["completion", shell]).await.succeeded();
        assert!(script.contains(words) && script.contains("rotate"), "{shell}");
    }
    let pages = tempfile::tempdir().unwrap();
    let target = pages.path().join("man");
    run(&folder, &["man", target.to_str().unwrap()]).await.succeeded();
    for page in ["inkbox-imessage.1", "inkbox-imessage-serve.1", "inkbox-imessage-key-create.1"] {
        let text = std::fs::read_to_string(target.join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
    fails(&folder, &["man", "/proc/nowhere"], 1, "cannot write to /proc/nowhere").await;
}

#[tokio::test]
async fn the_version_names_the_program_and_the_commit_it_was_built_from() {
    let printed = run(&Folder::empty(), &["--version"]).await.succeeded();
    let version = env!("VERSION_AND_COMMIT");
    assert_eq!(printed, format!("inkbox-imessage {version}\n"));
    assert!(version.starts_with(env!("CARGO_PKG_VERSION")), "{version}");
}

#[tokio::test]
async fn help_groups_the_settings_and_shows_examples() {
    let help = run(&Folder::empty(), &["serve", "--help"]).await.succeeded();
    for heading in
        ["Database:", "Log:", "Metrics:", "Carriers:", "TLS:", "Connections:", "Limits:", "Shutdown:"]
    {
        assert!(help.lines().any(|line| line == heading), "{heading}\n{help}");
    }
    for command in
        [&["--help"][..], &["key", "--help"], &["org", "--help"], &["rule", "--help"], &["line", "--help"]]
    {
        let help = run(&Folder::empty(), command).await.succeeded();
        assert!(help.contains("Examples:\n  inkbox-imessage "), "{command:?}\n{help}");
    }
}
