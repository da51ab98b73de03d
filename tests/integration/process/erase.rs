//! The `erase` command and its output.

use inkbox_imessage::proto::{ListMessagesRequest, ReceiveOutcome};

use crate::process::folder::Folder;
use crate::process::human::{LINE, Met, NUMBER, meets, texts};
use crate::support::program::{Service, command, finish, run};

#[tokio::test]
async fn a_human_is_counted_and_erased_while_the_service_runs() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    run(&folder, &["org", "create", "org_b"]).await.secret();
    let Met { admin, router, .. } = meets(&folder, &service).await;

    let erase = async |org: &str, more: &[&str]| {
        run(&folder, &[&["erase", "--org", org, "--number", NUMBER], more].concat()).await
    };
    erase("org_c", &[]).await.failed(1, "organization org_c does not exist");
    erase("org_b", &[]).await.failed(1, "no data about this number in org_b");
    erase("org_b", &["--dry-run"]).await.failed(1, "no data about this number in org_b");
    let counted = erase("org_a", &["--dry-run"]).await;
    let words =
        "connections 1 (active 1), conversations 1, messages 1, contact rules 0; dry run, nothing erased";
    assert!(counted.stderr.contains(words) && !counted.stderr.contains(&NUMBER[1..]), "{counted:?}");
    assert_eq!(counted.succeeded(), "");
    let erased = erase("org_a", &[]).await;
    let words = "erased from org_a: connections 1 (active 1), conversations 1, messages 1";
    assert!(erased.stderr.contains(words) && !erased.stderr.contains(&NUMBER[1..]), "{erased:?}");
    assert_eq!(erased.succeeded(), "");

    let list = admin.list_messages(ListMessagesRequest::default()).await.unwrap();
    assert_eq!(list.messages, []);
    let again = texts(&router, LINE, "3", "still there?").await;
    assert_eq!(again.outcome(), ReceiveOutcome::NotConnected);
    erase("org_a", &[]).await.failed(1, "no data about this number in org_a");
}

#[tokio::test]
async fn invalid_arguments_fail_before_anything_is_started() {
    let folder = Folder::empty();
    run(&folder, &["erase"]).await.failed(2, "--org");
    run(&folder, &["erase", "--org", "org_a"]).await.failed(2, "--number");
    run(&folder, &["erase", "--org", "org_a", "--number", "5551230001"]).await.failed(2, "--number");
    for name in ["INKBOX_MESSAGE_RETENTION", "INKBOX_RELEASED_RETENTION"] {
        for value in ["30", "59s", "a while"] {
            let mut serve = command(&folder, &["serve"]);
            serve.env(name, value);
            finish(serve).await.failed(2, value);
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was touched");
}
