//! `verify`: what an operator types, and what is printed.

use inkbox_imessage::dev::embedded_postgres;
use sqlx::{ConnectOptions as _, raw_sql};

use crate::process::folder::Folder;
use crate::process::human::{Met, NUMBER, meets};
use crate::support::program::{Ended, Service, command, finish, run};

/// Asserts an exit code and nothing on standard output; gives the lines for people.
fn lines(ended: &Ended, code: i32) -> Vec<String> {
    assert_eq!((ended.code, &*ended.stdout), (Some(code), ""), "{ended:?}");
    assert!(!ended.stderr.contains(&NUMBER[1..]), "{ended:?}");
    ended.stderr.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_broken_is_named_and_mended_while_the_service_runs() {
    let folder = Folder::migrated().await;
    // Without a service there is news of its PostgreSQL as well.
    let said = lines(&run(&folder, &["verify"]).await, 0);
    assert_eq!(said.last().unwrap(), "looked at 0 organizations, 0 rows: everything holds");
    let service = Service::start(&folder, &[]).await;
    let Met { conversation_id, .. } = meets(&folder, &service).await;
    let whole = "looked at 1 organizations, 3 rows: everything holds";
    assert_eq!(lines(&run(&folder, &["verify"]).await, 0), [whole]);
    assert_eq!(lines(&run(&folder, &["verify", "--repair"]).await, 0), ["nothing was mended", whole]);

    let options = embedded_postgres::running(folder.path(), "inkbox").await.unwrap();
    let mut database = options.connect().await.unwrap();
    let breaking =
        "UPDATE conversations SET clear_total = 7; UPDATE lines SET active_connections = 2 WHERE role = 2";
    raw_sql(breaking).execute(&mut database).await.unwrap();
    assert_eq!(
        lines(&run(&folder, &["verify"]).await, 1),
        [
            "broken: a line counts its active connections: 1 (--repair mends it): +12025550101",
            &format!(
                "broken: a conversation counts its messages: 1 (--repair mends it): org_a/{conversation_id}"
            ),
            "error: looked at 1 organizations, 3 rows: 2 invariants are broken",
        ]
    );
    assert_eq!(
        lines(&run(&folder, &["verify", "--repair"]).await, 0),
        [
            "mended: a line counts its active connections: 1",
            "mended: a conversation counts its messages: 1",
            whole
        ]
    );

    raw_sql("DELETE FROM handles").execute(&mut database).await.unwrap();
    let [nothing, broken, error] = &lines(&run(&folder, &["verify", "--repair"]).await, 1)[..] else {
        panic!("three lines")
    };
    assert_eq!(nothing, "nothing was mended");
    assert!(
        broken.contains("an identity has its handle") && broken.contains("--repair cannot mend it"),
        "{broken}"
    );
    assert!(error.ends_with("1 invariant is broken"), "{error}");
}

#[tokio::test]
async fn a_database_that_cannot_be_looked_at_is_not_taken_for_whole() {
    let folder = Folder::empty();
    let mut verify = command(&folder, &["verify"]);
    verify.env("DATABASE_URL", "postgres://127.0.0.1:1/none");
    finish(verify).await.failed(1, "database");
    run(&folder, &["verify", "--fix"]).await.failed(2, "--fix");
}
