//! Wrong usage and bad configuration: one clear line, exit code 2, and nothing is touched.

use crate::process::folder::Folder;
use crate::support::program::{command, finish, run};

#[tokio::test]
async fn wrong_usage_is_one_line_and_exit_code_2() {
    let folder = Folder::empty();
    for (arguments, words) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["nonsense"], "nonsense"),
        (&["serve", "--listen"], "--listen"),
        (&["org"], "subcommand"),
        (&["org", "create"], "<ID>"),
        (&["org", "create", ""], "organization id"),
        (&["key", "create"], "--scope"),
        (&["key", "create", "--scope", "nonsense"], "nonsense"),
        (&["key", "create", "--scope", "admin"], "--org"),
        (&["key", "create", "--scope", "identity", "--org", "org_a"], "--identity"),
        (&["key", "create", "--scope", "identity", "--org", "org_a", "--identity", "nonsense"], "nonsense"),
        (&["key", "create", "--scope", "router", "--org", "org_a"], "router key neither"),
        (&["key", "revoke", "nonsense"], "nonsense"),
        (&["line", "add", "+12025550100"], "--role"),
        (&["line", "add", "nonsense", "--role", "pool"], "nonsense"),
        (&["health", "--listen", "nonsense"], "nonsense"),
    ] {
        run(&folder, arguments).await.failed(2, words);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was touched");
}

#[tokio::test]
async fn half_a_configuration_of_webhooks_is_one_line_and_exit_code_2() {
    let folder = Folder::empty();
    let listen = ("INKBOX_WEBHOOK_LISTEN", "127.0.0.1:0");
    let secret = "0123456789abcdef";
    for (settings, words) in [
        (vec![listen], "INKBOX_WEBHOOK_LISTEN is set"),
        (vec![listen, ("INKBOX_SENDBLUE_WEBHOOK_SECRET", "")], "INKBOX_WEBHOOK_LISTEN is set"),
        (vec![listen, ("INKBOX_SENDBLUE_WEBHOOK_SECRET", "too-short")], "needs 16 characters"),
        (vec![("INKBOX_SENDBLUE_WEBHOOK_SECRET", secret)], "INKBOX_WEBHOOK_LISTEN is not"),
        (vec![("INKBOX_SENDBLUE_STATUS_SECRET", secret)], "INKBOX_WEBHOOK_LISTEN is not"),
        (vec![("INKBOX_BLUEBUBBLES_WEBHOOK_SECRET", secret)], "INKBOX_WEBHOOK_LISTEN is not"),
        (vec![("INKBOX_WEBHOOK_LISTEN", "nonsense")], "nonsense"),
    ] {
        let mut serve = command(&folder, &["serve"]);
        serve.envs(settings);
        let ended = finish(serve).await;
        assert!(!ended.stderr.contains("too-short"), "{ended:?}");
        ended.failed(2, words);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was touched");
}

#[tokio::test]
async fn bad_configuration_is_one_line_and_exit_code_2() {
    let folder = Folder::empty();
    for (name, value) in [
        ("INKBOX_LISTEN", "nonsense"),
        ("INKBOX_LISTEN", "unix:"),
        ("INKBOX_REQUEST_LIMIT", "1MB"),
        ("INKBOX_CONNECTIONS", "0"),
        ("INKBOX_KEEPALIVE_INTERVAL", "0"),
        ("INKBOX_HANDSHAKE_LIMIT", "nonsense"),
        ("INKBOX_MIGRATE", "nonsense"),
        ("INKBOX_DEMO", "nonsense"),
        ("INKBOX_SENDS_PER_DAY", "10001"),
        ("INKBOX_DATABASE_SESSIONS", "0"),
        ("INKBOX_CARRIER_TIMEOUT", "nonsense"),
        // Under its old name.
        ("INKBOX_LINE_TIMEOUT", "nonsense"),
        ("INKBOX_DRAIN_GRACE", "-1s"),
        ("INKBOX_DRAIN_LIMIT", "a while"),
        ("INKBOX_LOG_FORMAT", "nonsense"),
        ("INKBOX_LOG", "inkbox=nonsense"),
        ("INKBOX_METRICS_LISTEN", "nonsense"),
        ("DATABASE_URL", "nonsense"),
        ("INKBOX_SENDBLUE_API_KEY_ID", "half-of-it"),
        ("INKBOX_SENDBLUE_URL", "nonsense"),
        ("INKBOX_BLUEBUBBLES_SERVERS", "nonsense"),
        ("INKBOX_CARRIER_CONCURRENCY", "0"),
        ("INKBOX_ACTIONS_PER_MINUTE", "many"),
        ("DATABASE_URL", "mysql://root@localhost/inkbox"),
    ] {
        for arguments in [&[][..], &["serve"]] {
            let mut serve = command(&folder, arguments);
            serve.env(name, value);
            // A line about an address or a secret does not repeat it.
            let is_secret = ["DATABASE_URL", "INKBOX_SENDBLUE_", "INKBOX_BLUEBUBBLES_"]
                .iter()
                .any(|area| name.starts_with(area));
            finish(serve).await.failed(2, if is_secret { name } else { value });
        }
    }
    let mut migrate = command(&folder, &["migrate"]);
    migrate.env("DATABASE_URL", "nonsense");
    finish(migrate).await.failed(2, "DATABASE_URL");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was touched");
}

#[tokio::test]
async fn a_password_in_a_database_url_is_never_told() {
    let folder = Folder::empty();
    for url in
        ["postgres://inkbox:hunter22@localhost:nonsense/inkbox", "postgres//inkbox:hunter22@localhost/inkbox"]
    {
        for arguments in [&["serve"][..], &["migrate"], &["--help"]] {
            let mut command = command(&folder, arguments);
            command.env("DATABASE_URL", url);
            let ended = finish(command).await;
            assert!(!(ended.stdout + &ended.stderr).contains("hunter22"), "{url} {arguments:?}");
        }
    }
}

#[tokio::test]
async fn an_export_of_spans_that_cannot_be_done_is_one_line_and_exit_code_2() {
    let folder = Folder::empty();
    for (name, value, words) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "use grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "use grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "no url at all", "export of spans"),
    ] {
        let mut serve = command(&folder, &["serve"]);
        serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1").env(name, value);
        finish(serve).await.failed(2, words);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was touched");
}
