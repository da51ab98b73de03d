//! Valid settings, and the errors of invalid ones.

use std::io::Write as _;

use clap::Parser;

use super::CarrierArgs;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    carriers: CarrierArgs,
}

fn read(flags: &[&str]) -> Result<crate::carriers::CarrierSettings, String> {
    let args = std::iter::once("test").chain(flags.iter().copied());
    Cli::try_parse_from(args).expect("flags").carriers.settings()
}

const SENDBLUE: [&str; 2] = ["--sendblue-api-key-id=id-1", "--sendblue-api-secret-key=secret-1"];

#[test]
fn only_the_sandbox_is_configured_by_default() {
    let settings = read(&[]).expect("settings");
    assert!(settings.sendblue.is_none() && settings.bluebubbles.is_empty());
    let empty = read(&["--sendblue-api-key-id=", "--sendblue-api-secret-key=", "--bluebubbles-password="]);
    assert!(empty.expect("settings").sendblue.is_none(), "empty variables");
}

#[test]
fn sendblue_needs_both_keys_and_has_a_default_url() {
    let account = read(&SENDBLUE).expect("settings").sendblue.expect("sendblue");
    assert_eq!(account.url.as_str(), "https://api.sendblue.com/");
    let shown = format!("{account:?}");
    assert!(!shown.contains("id-1") && !shown.contains("secret-1"), "{shown}");
}

#[test]
fn each_bluebubbles_server_has_its_number_and_password() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "# ours\n\n+12025550102=own=word").expect("written");
    let settings = read(&[
        "--bluebubbles-servers=+12025550101=https://mac1.example, +12025550102=http://10.0.0.7:1234/bb",
        "--bluebubbles-password=for-all",
        &format!("--bluebubbles-password-file={}", file.path().display()),
    ]);
    let macs = settings.expect("settings").bluebubbles;
    let read: Vec<_> =
        macs.iter().map(|mac| (mac.number.as_str(), mac.url.as_str(), mac.password.reveal())).collect();
    let expected = [
        ("+12025550101", "https://mac1.example/", "for-all"),
        ("+12025550102", "http://10.0.0.7:1234/bb", "own=word"),
    ];
    assert_eq!(read, expected);
}

#[test]
fn incomplete_settings_are_rejected_with_one_line_and_no_secret() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "+12025550199=hush").expect("written");
    let file = format!("--bluebubbles-password-file={}", file.path().display());
    let server = "--bluebubbles-servers=+12025550101=https://mac1.example";
    let cases: &[(&[&str], &str)] = &[
        (&SENDBLUE[..1], "INKBOX_SENDBLUE_API_SECRET_KEY is not"),
        (&SENDBLUE[1..], "INKBOX_SENDBLUE_API_KEY_ID is not"),
        (&["--sendblue-status-callback=https://hooks.example/hush"], "are not"),
        (&[SENDBLUE[0], "--sendblue-api-secret-key=hush hush"], "INKBOX_SENDBLUE_API_SECRET_KEY has blanks"),
        (&[SENDBLUE[0], SENDBLUE[1], "--sendblue-url=ftp://hush"], "INKBOX_SENDBLUE_URL"),
        (&[SENDBLUE[0], SENDBLUE[1], "--sendblue-url=https://u:hush@api.example"], "INKBOX_SENDBLUE_URL"),
        (&[SENDBLUE[0], SENDBLUE[1], "--sendblue-status-callback=hush"], "INKBOX_SENDBLUE_STATUS_CALLBACK"),
        (&[server], "entry 1: has no password"),
        (&["--bluebubbles-password=hush"], "INKBOX_BLUEBUBBLES_SERVERS is not"),
        (&[&file], "INKBOX_BLUEBUBBLES_SERVERS is not"),
        (&[server, &file, "--bluebubbles-password=hush"], "has a number that"),
        (&[server, "--bluebubbles-password-file=/nonexistent"], "cannot read"),
        (
            &["--bluebubbles-servers=https://mac1.example", "--bluebubbles-password=hush"],
            "entry 1: is not NUMBER=URL",
        ),
        (
            &["--bluebubbles-servers=mac=https://mac1.example", "--bluebubbles-password=hush"],
            "entry 1: must be a phone",
        ),
        (
            &["--bluebubbles-servers=+12025550101=mac1", "--bluebubbles-password=hush"],
            "entry 1: is not a URL",
        ),
        (
            &[
                "--bluebubbles-servers=+12025550101=https://a.example,+12025550101=https://b.example",
                "--bluebubbles-password=hush",
            ],
            "entry 2: another entry",
        ),
    ];
    for (flags, expected) in cases {
        let error = read(flags).expect_err(expected);
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hush") && !error.contains("+1202") && !error.contains('\n'), "{error}");
    }
}
