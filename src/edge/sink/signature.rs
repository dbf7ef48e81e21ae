//! Signatures after Standard Webhooks (<https://www.standardwebhooks.com>): HMAC-SHA-256 over
//! `<id>.<seconds>.<body>`, one signature for each key.
//!
//! A list of keys has one key a line; empty lines are skipped. `whsec_<base64>` is the key those bytes
//! encode, as Standard Webhooks writes it; any other line is the key itself, byte for byte. While a key
//! is rotated both are listed: every key signs, and the receiver accepts whichever it knows.

use standardwebhooks::Webhook;

const PREFIX: &str = "whsec_";

/// The keys a delivery is signed with.
pub struct SigningKeys(Vec<Webhook>);

/// A list of keys that cannot be used. Says which line, never what is on it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no key.
    #[error("expected a signing key, found none")]
    None,
    /// What follows `whsec_` is not base64.
    #[error("line {line}: expected base64 after whsec_")]
    Base64 {
        /// Counted from 1.
        line: usize,
    },
    /// The body cannot be signed.
    #[error("the body could not be signed")]
    Sign,
}

impl SigningKeys {
    /// Reads a list of keys.
    ///
    /// # Errors
    ///
    /// Where there is none, or one is not in its form.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let keys = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty())
            .map(|(line, key)| {
                let parsed = if key.starts_with(PREFIX) {
                    Webhook::new(key)
                } else {
                    Webhook::from_bytes(key.as_bytes().to_vec())
                };
                parsed.map_err(|_| KeyError::Base64 { line })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(KeyError::None) } else { Ok(Self(keys)) }
    }

    /// The header `webhook-signature`: `v1,<base64>` for each key, separated by spaces.
    ///
    /// # Errors
    ///
    /// `Sign`; does not happen for a body that is text.
    pub fn sign(&self, id: &str, seconds: i64, body: &str) -> Result<String, KeyError> {
        let signatures = self
            .0
            .iter()
            .map(|key| key.sign(id, seconds, body.as_bytes()).map_err(|_| KeyError::Sign))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(signatures.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyError, SigningKeys};

    #[test]
    fn the_example_of_the_specification_is_signed_as_it_says() {
        let keys = SigningKeys::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n").unwrap();
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            keys.sign("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body).unwrap(),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn every_key_signs() {
        let one = SigningKeys::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let other = SigningKeys::parse("plain text").unwrap();
        let both = SigningKeys::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n\n  plain text \n").unwrap();
        let expected = format!("{} {}", one.sign("m", 1, "{}").unwrap(), other.sign("m", 1, "{}").unwrap());
        assert_eq!(both.sign("m", 1, "{}").unwrap(), expected);
    }

    #[test]
    fn a_mistake_is_named_by_its_line_alone() {
        let error = SigningKeys::parse("plain\n\nwhsec_secret!").err().unwrap();
        assert_eq!(error, KeyError::Base64 { line: 3 });
        assert!(!error.to_string().contains("secret!"));
        assert_eq!(SigningKeys::parse(" \n").err(), Some(KeyError::None));
    }
}
