//! Settings from files, and which settings are in force.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::process::folder::Folder;
use crate::support::program::{Service, command, finish};

/// Value and source of each setting, as `config show` prints them with these variables.
async fn shown(
    folder: &Folder,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> BTreeMap<String, [Value; 2]> {
    let mut show = command(folder, &[&["config", "show", "--output", "json"], arguments].concat());
    show.envs(variables.iter().copied());
    let printed = finish(show).await.succeeded();
    let rows: Vec<Value> = serde_json::from_str(&printed).unwrap();
    rows.into_iter()
        .map(|mut row| {
            (row["setting"].as_str().unwrap().to_owned(), [row["value"].take(), row["source"].take()])
        })
        .collect()
}

#[tokio::test]
async fn a_flag_precedes_a_variable_and_that_a_file() {
    let folder = Folder::empty();
    let file = folder.as_ref().join("config.toml");
    fs::write(&file, "sends-per-day = 5\nactions-per-minute = 7\nmessage-retention = '30d'\n").unwrap();
    let path = file.to_str().unwrap();
    let variables =
        [("INKBOX_CONFIG", path), ("INKBOX_SENDS_PER_DAY", "6"), ("INKBOX_ACTIONS_PER_MINUTE", "8")];
    let settings = shown(&folder, &["--actions-per-minute", "9"], &variables).await;
    for (setting, value, source) in [
        ("message-retention", "30d", path),
        ("sends-per-day", "6", "INKBOX_SENDS_PER_DAY"),
        ("actions-per-minute", "9", "--actions-per-minute"),
        ("released-retention", "off", "default"),
    ] {
        assert_eq!(settings[setting], [Value::from(value), source.into()], "{setting}");
    }
    assert_eq!(settings["tls-cert"], [Value::Null, "default".into()]);
}

#[tokio::test]
async fn a_secret_comes_from_the_file_that_a_variable_names_and_is_not_shown() {
    let folder = Folder::empty();
    let secret = folder.as_ref().join("url");
    fs::write(&secret, "postgres://inkbox:hunter2@127.0.0.1:1/inkbox\n").unwrap();
    let path = secret.to_str().unwrap();
    let settings = shown(&folder, &[], &[("DATABASE_URL_FILE", path)]).await;
    assert_eq!(settings["database-url"], ["(set)".into(), Value::from(path)]);

    // Used by every command that takes the setting.
    let mut list = command(&folder, &["org", "list"]);
    list.env("DATABASE_URL_FILE", path);
    let refused = finish(list).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("onnection refused"), "{refused:?}");
    assert!(!refused.stderr.contains("hunter2"));
    let mut both = command(&folder, &["org", "list"]);
    both.env("DATABASE_URL_FILE", path).env("DATABASE_URL", "postgres://h/d");
    finish(both).await.failed(2, "both DATABASE_URL and DATABASE_URL_FILE are set");
    let mut missing = command(&folder, &["org", "list"]);
    missing.env("DATABASE_URL_FILE", "/nowhere");
    finish(missing).await.failed(2, "DATABASE_URL_FILE: cannot read /nowhere");
}

#[tokio::test]
async fn a_service_runs_with_the_settings_of_a_file_and_a_wrong_one_is_one_line_and_exit_code_2() {
    let folder = Folder::migrated().await;
    let file = folder.as_ref().join("config.toml");
    fs::write(&file, "log-format = 'json'\n").unwrap();
    let path = file.to_str().unwrap();
    let output = Service::start(&folder, &["--config", path]).await.stop().await;
    assert!(output.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{output}");
    assert!(!output.contains("no setting has this name"), "{output}");
    for (text, words) in [
        ("lisen = 'x'", "there is no setting \"lisen\""),
        ("sends-per-day = 'many'", "sends-per-day"),
        ("= 1", "config.toml: "),
    ] {
        fs::write(&file, text).unwrap();
        finish(command(&folder, &["serve", "--config", path])).await.failed(2, words);
    }
    finish(command(&folder, &["serve", "--config", "/nowhere"])).await.failed(2, "cannot read /nowhere");
}
