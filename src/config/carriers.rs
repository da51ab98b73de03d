//! Settings of the carriers. `docs/carriers.md` describes how to set up each of them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use url::Url;

use super::duration;
use crate::carriers::{BreakerSettings, CarrierSettings, Credential, Mac, SendblueSettings};
use crate::domain::PhoneNumber;

const KEY_ID: &str = "INKBOX_SENDBLUE_API_KEY_ID";
const SECRET_KEY: &str = "INKBOX_SENDBLUE_API_SECRET_KEY";
const CALLBACK: &str = "INKBOX_SENDBLUE_STATUS_CALLBACK";
const SERVERS: &str = "INKBOX_BLUEBUBBLES_SERVERS";
const PASSWORD: &str = "INKBOX_BLUEBUBBLES_PASSWORD";
const PASSWORD_FILE: &str = "INKBOX_BLUEBUBBLES_PASSWORD_FILE";

/// Whether the environment configures a carrier besides the sandbox, for commands that need no more of its settings.
#[must_use]
pub fn is_carrier_configured() -> bool {
    [KEY_ID, SERVERS].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Settings of the carriers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Carriers")]
pub struct CarrierArgs {
    /// Key id of the account at Sendblue; needs the secret key as well.
    #[arg(long, env = KEY_ID, hide_env_values = true, value_name = "ID")]
    pub sendblue_api_key_id: Option<Credential>,
    /// Secret key of the account at Sendblue. Prefer the variable: flags are visible in process lists.
    #[arg(long, env = SECRET_KEY, hide_env_values = true, value_name = "SECRET")]
    pub sendblue_api_secret_key: Option<Credential>,
    /// Base URL of Sendblue's API.
    #[arg(long, env = "INKBOX_SENDBLUE_URL", default_value = "https://api.sendblue.com", value_name = "URL")]
    pub sendblue_url: String,
    /// Public URL of this service's status webhook, to which Sendblue posts the delivery status of each message.
    #[arg(long, env = CALLBACK, hide_env_values = true, value_name = "URL")]
    pub sendblue_status_callback: Option<Credential>,
    /// BlueBubbles servers, one for each line: `+15551230001=https://mac1.example,+15551230002=http://10.0.0.7:1234`.
    #[arg(long, env = SERVERS, value_name = "NUMBER=URL", value_delimiter = ',')]
    pub bluebubbles_servers: Vec<String>,
    /// Password of the BlueBubbles servers.
    #[arg(long, env = PASSWORD, hide_env_values = true, value_name = "SECRET")]
    pub bluebubbles_password: Option<Credential>,
    /// File with passwords of individual BlueBubbles servers, in lines of NUMBER=PASSWORD.
    #[arg(long, env = PASSWORD_FILE, value_name = "FILE")]
    pub bluebubbles_password_file: Option<PathBuf>,
    /// Maximum number of concurrent calls to Sendblue, and to each BlueBubbles server. The same number of calls may wait,
    /// for two seconds at most. Further calls, and calls of an organization beyond its share, fail immediately, and can be
    /// retried.
    #[arg(long, alias = "line-calls", env = "INKBOX_CARRIER_CONCURRENCY", default_value = "64", value_name = "NUMBER",
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub carrier_concurrency: u16,
    /// Number of calls to a carrier in 30 seconds from which on calls fail immediately if at least half of them failed
    /// (circuit breaker).
    #[arg(long, alias = "line-breaker-faults", env = "INKBOX_CARRIER_BREAKER_MIN_CALLS", default_value = "10",
          value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub carrier_breaker_min_calls: u32,
    /// How long the circuit breaker of a failed carrier stays open before calls probe the carrier.
    #[arg(long, alias = "line-breaker-pause", env = "INKBOX_CARRIER_BREAKER_PAUSE", default_value = "5s",
          value_name = "TIME", value_parser = duration)]
    pub carrier_breaker_pause: Duration,
}

impl CarrierArgs {
    /// The carriers that are configured.
    ///
    /// # Errors
    /// Incomplete or invalid settings, as one line without secrets and phone numbers.
    pub fn settings(&self) -> Result<CarrierSettings, String> {
        Ok(CarrierSettings {
            sendblue: self.sendblue()?,
            bluebubbles: self.bluebubbles()?,
            calls: usize::from(self.carrier_concurrency),
            breaker: BreakerSettings {
                min_calls: self.carrier_breaker_min_calls as usize,
                pause: self.carrier_breaker_pause,
            },
        })
    }

    fn sendblue(&self) -> Result<Option<SendblueSettings>, String> {
        let url = base_url("INKBOX_SENDBLUE_URL", &self.sendblue_url)?;
        let status_callback = non_empty(self.sendblue_status_callback.as_ref());
        let (key_id, secret_key) = match (
            non_empty(self.sendblue_api_key_id.as_ref()),
            non_empty(self.sendblue_api_secret_key.as_ref()),
        ) {
            (Some(key_id), Some(secret_key)) => (key_id, secret_key),
            (None, None) if status_callback.is_none() => return Ok(None),
            (None, None) => {
                return Err(format!("{CALLBACK} is set, but {KEY_ID} and {SECRET_KEY} are not"));
            }
            (Some(_), None) => {
                return Err(format!("{KEY_ID} is set, {SECRET_KEY} is not: both are required"));
            }
            (None, Some(_)) => {
                return Err(format!("{SECRET_KEY} is set, {KEY_ID} is not: both are required"));
            }
        };
        for (name, credential) in [(KEY_ID, &key_id), (SECRET_KEY, &secret_key)] {
            if !credential.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!(
                    "{name} contains whitespace or characters that are not allowed in a key"
                ));
            }
        }
        if let Some(callback) = &status_callback {
            let url = Url::parse(callback.reveal());
            if !url.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
                return Err(format!("{CALLBACK} is not a URL that begins with https:// or http://"));
            }
        }
        Ok(Some(SendblueSettings { url, key_id, secret_key, status_callback }))
    }

    fn bluebubbles(&self) -> Result<Vec<Mac>, String> {
        let servers: Vec<_> = self.bluebubbles_servers.iter().map(|text| text.trim()).collect();
        let servers: Vec<_> = servers.into_iter().filter(|text| !text.is_empty()).collect();
        let shared_password = non_empty(self.bluebubbles_password.as_ref());
        if servers.is_empty() {
            return match (&shared_password, &self.bluebubbles_password_file) {
                (None, None) => Ok(Vec::new()),
                _ => Err(format!("a password for BlueBubbles is set, and {SERVERS} is not")),
            };
        }
        let mut passwords = self.passwords()?;
        let mut macs: Vec<Mac> = Vec::new();
        for (at, server) in servers.into_iter().enumerate() {
            let what = format!("{SERVERS}, entry {}", at + 1);
            let (number, url) = server.split_once('=').ok_or_else(|| format!("{what}: is not NUMBER=URL"))?;
            let number = PhoneNumber::parse(number.trim()).map_err(|error| format!("{what}: {error}"))?;
            if macs.iter().any(|mac| mac.number == number) {
                return Err(format!("{what}: another entry has the same number"));
            }
            let password = passwords.remove(&number).or_else(|| shared_password.clone());
            let password = password
                .ok_or_else(|| format!("{what}: has no password; set {PASSWORD} or {PASSWORD_FILE}"))?;
            macs.push(Mac { number, url: base_url(&what, url.trim())?, password });
        }
        if passwords.is_empty() {
            Ok(macs)
        } else {
            Err(format!("{PASSWORD_FILE} has a number that is not in {SERVERS}"))
        }
    }

    fn passwords(&self) -> Result<HashMap<PhoneNumber, Credential>, String> {
        let Some(path) = &self.bluebubbles_password_file else { return Ok(HashMap::new()) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{PASSWORD_FILE}: cannot read {}: {error}", path.display()))?;
        let mut passwords = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = line.split_once('=').and_then(|(number, password)| {
                let number = PhoneNumber::parse(number.trim()).ok()?;
                Some((number, Credential::from(password.trim().to_owned())))
            });
            match entry {
                Some((number, password)) if !password.reveal().is_empty() => {
                    passwords.insert(number, password);
                }
                _ => return Err(format!("{PASSWORD_FILE}: line {} is not NUMBER=PASSWORD", at + 1)),
            }
        }
        Ok(passwords)
    }
}

/// An empty variable counts as unset.
fn non_empty(credential: Option<&Credential>) -> Option<Credential> {
    credential.filter(|credential| !credential.reveal().is_empty()).cloned()
}

/// Parses a base URL. Errors do not contain it, since operators may put passwords in it.
fn base_url(what: &str, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or_else(|| format!("{what}: is not a URL that begins with https:// or http://"))?;
    let has_more = !url.username().is_empty() || url.password().is_some();
    if has_more || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{what}: the URL must have no user, password, query or fragment"));
    }
    Ok(url)
}

#[cfg(test)]
#[path = "carriers_tests.rs"]
mod tests;
