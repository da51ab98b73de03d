//! Settings of the carriers' webhooks.

use std::net::SocketAddr;

use clap::Args;

use crate::carrier_webhooks::{Secret, Secrets};

/// Listener and secrets.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Webhooks")]
pub struct WebhookArgs {
    /// Address of the HTTP listener for webhooks of carriers, behind a proxy that terminates TLS [default: none].
    #[arg(long, env = "INKBOX_WEBHOOK_LISTEN", value_name = "ADDRESS")]
    pub webhook_listen: Option<SocketAddr>,
    /// Secret of Sendblue's account webhooks, at /webhooks/sendblue.
    #[arg(long, env = "INKBOX_SENDBLUE_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub sendblue_webhook_secret: Option<Secret>,
    /// Token in the URL to which Sendblue posts the status of single messages, /webhooks/sendblue/status?token=…
    #[arg(long, env = "INKBOX_SENDBLUE_STATUS_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub sendblue_status_secret: Option<Secret>,
    /// Secret from which the tokens of `BlueBubbles` servers are derived; `line urls` prints their URLs.
    #[arg(long, env = "INKBOX_BLUEBUBBLES_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub bluebubbles_webhook_secret: Option<Secret>,
}

impl WebhookArgs {
    /// The validated settings; `None` if webhooks are not configured.
    ///
    /// # Errors
    /// Incomplete settings, or a secret that is too short, as one line that does not contain the secret.
    pub fn checked(&self) -> Result<Option<(SocketAddr, Secrets)>, String> {
        let named = [
            ("INKBOX_SENDBLUE_WEBHOOK_SECRET", &self.sendblue_webhook_secret),
            ("INKBOX_SENDBLUE_STATUS_SECRET", &self.sendblue_status_secret),
            ("INKBOX_BLUEBUBBLES_WEBHOOK_SECRET", &self.bluebubbles_webhook_secret),
        ];
        // An empty variable counts as unset, since compose files pass unset variables as empty.
        let set = named.map(|(name, secret)| (name, secret.clone().filter(|secret| secret.length() > 0)));
        for (name, secret) in &set {
            let Some(secret) = secret else { continue };
            if secret.length() < Secret::MIN_LENGTH {
                return Err(format!("{name} needs {} characters or more", Secret::MIN_LENGTH));
            }
            if self.webhook_listen.is_none() {
                return Err(format!("{name} is set, and INKBOX_WEBHOOK_LISTEN is not"));
            }
        }
        let Some(address) = self.webhook_listen else { return Ok(None) };
        let [sendblue, sendblue_status, bluebubbles] = set.map(|(_, secret)| secret);
        if sendblue.is_none() && sendblue_status.is_none() && bluebubbles.is_none() {
            let secrets = named.map(|(name, _)| name).join(", ");
            return Err(format!("INKBOX_WEBHOOK_LISTEN is set, and none of {secrets} is"));
        }
        Ok(Some((address, Secrets { sendblue, sendblue_status, bluebubbles })))
    }
}
