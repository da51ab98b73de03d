//! The same SQL without the service: pgbench with the text of the checked query from `.sqlx/`.

use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnectOptions;
use tokio::process::Command;

use crate::Result;

#[derive(Debug, Clone, Copy)]
pub struct Baseline {
    pub per_second: f64,
    pub transactions: f64,
}

/// Runs a statement in a loop, prepared once per client, as in the service.
pub async fn run(options: &PgConnectOptions, script: &str, clients: u32, seconds: u64) -> Result<Baseline> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), script)?;
    let output = Command::new(program().await?)
        .args(["-n", "-M", "prepared", "-j", "2"])
        .args(["-c", &clients.to_string(), "-T", &seconds.to_string()])
        .args(["-f", &file.path().display().to_string()])
        .args(["-h", options.get_host(), "-p", &options.get_port().to_string(), "-U", options.get_username()])
        .arg(options.get_database().unwrap_or("postgres"))
        // The settings of the service's sessions.
        .env("PGOPTIONS", "-c plan_cache_mode=force_generic_plan -c max_parallel_workers_per_gather=0")
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = text.lines().find_map(|line| line.strip_prefix("number of failed transactions: "));
    let made = text.lines().find_map(|line| line.strip_prefix("number of transactions actually processed: "));
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    match (tps, made, failed) {
        (Some(tps), Some(made), Some(failed)) if failed.starts_with("0 ") => {
            Ok(Baseline { per_second: tps.parse()?, transactions: made.trim().parse()? })
        }
        _ => Err(format!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// The path of pgbench. Debian keeps it in the folder of the server, which is not in PATH.
async fn program() -> Result<PathBuf> {
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output().await {
        let beside = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("pgbench");
        if beside.exists() {
            return Ok(beside);
        }
    }
    Ok("pgbench".into())
}

/// A pgbench script of the one checked query that contains all of `stands` and not `without`, with expressions in place of
/// its parameters.
pub fn script(setup: &str, stands: &[&str], without: &str, parameters: &[&str]) -> Result<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx"))? {
        let file: serde_json::Value = serde_json::from_slice(&std::fs::read(entry?.path())?)?;
        let text = file["query"].as_str().ok_or("a file of .sqlx without a query")?.to_owned();
        let is_it = stands.iter().all(|part| text.contains(part)) && !text.contains(without);
        if is_it {
            found.push(text);
        }
    }
    let [text] = found.as_slice() else {
        return Err(format!("{} checked queries have {stands:?} in them", found.len()).into());
    };
    // The service batches look-ups of several callers; pgbench looks up one row, which is the minimum.
    let mut text = text.replace("= ANY(", "= (");
    // From the last to the first, so that $1 does not match $12.
    for (index, expression) in parameters.iter().enumerate().rev() {
        text = text.replace(&format!("${}", index + 1), expression);
    }
    Ok(format!("{setup}\n{};\n", text.replace('\n', " ")))
}
