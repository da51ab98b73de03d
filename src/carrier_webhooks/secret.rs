//! Who may deliver.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use http::Uri;
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

/// What a carrier shows to prove that it is the one. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The fewest characters that count as one: random ones are out of reach of guessing over the network.
    pub const SHORTEST: usize = 16;

    /// How many characters it has.
    #[must_use]
    pub fn characters(&self) -> usize {
        self.0.chars().count()
    }

    /// Whether what was given is the secret. Takes as long whichever character is wrong.
    pub(super) fn admits(secret: Option<&Self>, given: Option<&[u8]>) -> bool {
        match (secret, given) {
            (Some(secret), Some(given)) => secret.0.as_bytes().ct_eq(given).into(),
            _ => false,
        }
    }
}

/// Any text: how long it is, is checked where the settings are put together, by a line that does not show it.
impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The secret of each way in; where there is none, there is no way.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// Of Sendblue's account webhooks.
    pub sendblue: Option<Secret>,
    /// The token of the address that Sendblue reports on single messages to.
    pub sendblue_status: Option<Secret>,
    /// The token of the addresses that BlueBubbles servers post to.
    pub bluebubbles: Option<Secret>,
}

/// The `token` of an address.
pub(super) fn token(uri: &Uri) -> Option<String> {
    let mut pairs = form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.find(|(name, _)| name == "token").map(|(_, token)| token.into_owned())
}
