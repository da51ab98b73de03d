//! Authentication of webhooks.

use std::convert::Infallible;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Uri;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

type HmacSha256 = Hmac<Sha256>;

/// Length of the token of a line.
const TOKEN_LENGTH: usize = 64;

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

    /// The token of one line, which authorizes webhooks for this line only: a Mac often belongs to a tenant, who must not
    /// be able to post for the lines of others. The HMAC-SHA256 of the line's number under this secret, in lower-case hex.
    #[must_use]
    pub fn of_line(&self, line_number: &str) -> Option<Self> {
        // A key of any length is accepted.
        let mut mac = HmacSha256::new_from_slice(self.0.as_bytes()).ok()?;
        mac.update(line_number.as_bytes());
        let mut token = String::with_capacity(TOKEN_LENGTH);
        for byte in mac.finalize().into_bytes() {
            let _ = write!(token, "{byte:02x}");
        }
        Some(Self(token))
    }

    /// The secret itself, for a URL that an operator asks for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
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
    /// The secret from which the tokens in the URLs of BlueBubbles servers are derived.
    pub bluebubbles: Option<Secret>,
}

/// The query parameter `token`.
pub(super) fn token(uri: &Uri) -> Option<String> {
    let mut parameters = form_urlencoded::parse(uri.query()?.as_bytes());
    parameters.find(|(name, _)| name == "token").map(|(_, token)| token.into_owned())
}

#[cfg(test)]
mod tests {
    use super::Secret;

    /// As `printf %s +12025550101 | openssl dgst -sha256 -hmac a-secret-of-some-length` prints it.
    #[test]
    fn the_token_of_a_line_is_the_hmac_of_its_number_in_hex() {
        let secret: Secret = "a-secret-of-some-length".parse().unwrap();
        assert_eq!(
            secret.of_line("+12025550101").unwrap().reveal(),
            "6c1183e6ce04e6e2ba92cfa18b7a0c2f58f468ffa1c0b60d9c091076a73f0b62"
        );
    }
}
