//! Authentication of webhooks.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use http::Uri;
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

/// A shared secret that authenticates a carrier. `Debug` does not print it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Minimum length, in characters. A random secret of this length cannot be guessed over the network.
    pub const MIN_LENGTH: usize = 16;

    /// Length in characters.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.chars().count()
    }

    /// Whether `presented` equals `expected`, compared in constant time. False if either is absent.
    pub(super) fn verify(expected: Option<&Self>, presented: Option<&[u8]>) -> bool {
        match (expected, presented) {
            (Some(expected), Some(presented)) => expected.0.as_bytes().ct_eq(presented).into(),
            _ => false,
        }
    }
}

/// Accepts any text. `config::webhooks` checks the length, since an error of clap would print the secret.
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

/// The secret of each route. A route without a secret does not exist.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// The secret of Sendblue's account webhooks.
    pub sendblue: Option<Secret>,
    /// The token in the URL to which Sendblue posts the status of single messages.
    pub sendblue_status: Option<Secret>,
    /// The token in the URLs to which BlueBubbles servers post.
    pub bluebubbles: Option<Secret>,
}

/// The query parameter `token`.
pub(super) fn token(uri: &Uri) -> Option<String> {
    let mut parameters = form_urlencoded::parse(uri.query()?.as_bytes());
    parameters.find(|(name, _)| name == "token").map(|(_, token)| token.into_owned())
}
