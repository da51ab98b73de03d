//! Settings of the webhooks.

use std::net::SocketAddr;

use clap::Args;

use crate::carrier_webhooks::{Secret, Secrets};

/// Where carriers deliver to, and how they prove that it is them.
#[derive(Debug, Clone, Args)]
pub struct WebhookArgs {
    /// Address to take the webhooks of carriers on, for a proxy that ends TLS [default: none are taken].
    #[arg(long, env = "INKBOX_WEBHOOK_LISTEN", value_name = "ADDRESS")]
    pub webhook_listen: Option<SocketAddr>,
    /// Secret of Sendblue's account webhooks, at /webhooks/sendblue.
    #[arg(long, env = "INKBOX_SENDBLUE_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub sendblue_webhook_secret: Option<Secret>,
    /// Token of the address that Sendblue reports on single messages to, /webhooks/sendblue/status?token=…
    #[arg(long, env = "INKBOX_SENDBLUE_STATUS_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub sendblue_status_secret: Option<Secret>,
    /// Token of the addresses that `BlueBubbles` servers post to, `/webhooks/bluebubbles/+15551234567?token=…`
    #[arg(long, env = "INKBOX_BLUEBUBBLES_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub bluebubbles_webhook_secret: Option<Secret>,
}

impl WebhookArgs {
    /// Where to listen and whom to let in; `None` where no webhooks are to be taken.
    ///
    /// # Errors
    /// Half a configuration, or a secret that could be guessed, as one line that does not show it.
    pub fn checked(&self) -> Result<Option<(SocketAddr, Secrets)>, String> {
        let named = [
            ("INKBOX_SENDBLUE_WEBHOOK_SECRET", &self.sendblue_webhook_secret),
            ("INKBOX_SENDBLUE_STATUS_SECRET", &self.sendblue_status_secret),
            ("INKBOX_BLUEBUBBLES_WEBHOOK_SECRET", &self.bluebubbles_webhook_secret),
        ];
        // Set to nothing is not set, as compose files do it.
        let set = named.map(|(name, secret)| (name, secret.clone().filter(|secret| secret.characters() > 0)));
        for (name, secret) in &set {
            let Some(secret) = secret else { continue };
            if secret.characters() < Secret::SHORTEST {
                return Err(format!("{name} needs {} characters or more", Secret::SHORTEST));
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
