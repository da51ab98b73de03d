//! The `verify` command and its output.

use inkbox_imessage::dev::embedded_postgres;
use sqlx::{ConnectOptions as _, raw_sql};

use crate::process::folder::Folder;
use crate::process::human::{Met, NUMBER, meets};
use crate::support::program::{Ended, Service, command, finish, run};

/// Asserts the exit code and an empty standard output; returns the lines of standard error.
fn lines(ended: &Ended, code: i32) -> Vec<String> {
    assert_eq!((ended.code, &*ended.stdout), (Some(code), ""), "{ended:?}");
    assert!(!ended.stderr.contains(&NUMBER[1..]), "{ended:?}");
    ended.stderr.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn violations_are_reported_and_repaired_while_the_service_runs() {
    let folder = Folder::migrated().await;
    // Without a running service, the log of the embedded PostgreSQL precedes the report.
    let said = lines(&run(&folder, &["verify"]).await, 0);
    assert_eq!(said.last().unwrap(), "checked 0 organizations, 0 rows: no violations found");
    let service = Service::start(&folder, &[]).await;
    let Met { conversation_id, .. } = meets(&folder, &service).await;
    let clean = "checked 1 organizations, 3 rows: no violations found";
    assert_eq!(lines(&run(&folder, &["verify"]).await, 0), [clean]);
    assert_eq!(lines(&run(&folder, &["verify", "--repair"]).await, 0), ["nothing repaired", clean]);

    let options = embedded_postgres::running(folder.path(), "inkbox").await.unwrap();
    let mut database = options.connect().await.unwrap();
    let violating =
        "UPDATE conversations SET clear_total = 7; UPDATE lines SET active_connections = 2 WHERE role = 2";
    raw_sql(violating).execute(&mut database).await.unwrap();
    assert_eq!(
        lines(&run(&folder, &["verify"]).await, 1),
        [
            "violated: lines.active_connections matches the routes of the line: 1 (repairable with --repair): +12025550101",
            &format!(
                "violated: the counters of a conversation match its messages: 1 (repairable with --repair): org_a/{conversation_id}"
            ),
            "error: checked 1 organizations, 3 rows: 2 invariants are violated",
        ]
    );
    assert_eq!(
        lines(&run(&folder, &["verify", "--repair"]).await, 0),
        [
            "repaired: lines.active_connections matches the routes of the line: 1",
            "repaired: the counters of a conversation match its messages: 1",
            clean
        ]
    );

    raw_sql("DELETE FROM handles").execute(&mut database).await.unwrap();
    let [nothing, violated, error] = &lines(&run(&folder, &["verify", "--repair"]).await, 1)[..] else {
        panic!("three lines")
    };
    assert_eq!(nothing, "nothing repaired");
    assert!(
        violated.contains("identities and handles match") && violated.contains("(not repairable)"),
        "{violated}"
    );
    assert!(error.ends_with("1 invariant is violated"), "{error}");
}

#[tokio::test]
async fn an_unreachable_database_is_an_error() {
    let folder = Folder::empty();
    let mut verify = command(&folder, &["verify"]);
    verify.env("DATABASE_URL", "postgres://127.0.0.1:1/none");
    finish(verify).await.failed(1, "database");
    run(&folder, &["verify", "--fix"]).await.failed(2, "--fix");
}
