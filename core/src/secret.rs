//! Secrets: keys and tokens that can be used but not shown.
//!
//! A [`Secret`] has neither `Debug` nor `Serialize`, so a struct that holds one cannot be logged, journalled or
//! sent by accident: it does not compile. A [`Redactor`] is the second line: it removes known secrets from texts that come
//! from elsewhere (a server that repeats the key in its error, a file that contains it).

use std::sync::Arc;

/// Letters that a secret needs to be removed from texts. Shorter ones would tear words apart.
const REDACTED_MIN: usize = 6;

/// What stands where a secret was.
const MASK: &str = "[redacted]";

/// A key, token or password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a text, white space around it removed; `None` when nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Removes known secrets from texts.
#[derive(Clone, Default)]
pub struct Redactor(Vec<String>);

impl Redactor {
    /// Learns a secret, as it is and as it looks inside a JSON string or a URL.
    pub fn learn(&mut self, secret: &Secret) {
        let plain = secret.expose().to_owned();
        let quoted = serde_json::to_string(&plain).unwrap_or_default();
        let forms = [percent_encoded(&plain), quoted.trim_matches('"').to_owned(), plain];
        for form in forms {
            if form.chars().count() >= REDACTED_MIN && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        // Longest first, so that one secret inside another leaves no rest.
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// The text without secrets.
    pub fn clean(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), MASK) } else { text }
        })
    }

    /// Whether a text holds a secret.
    pub fn finds(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }
}

fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let mut redactor = Redactor::default();
        for secret in secrets {
            redactor.learn(&Secret::new(secret).unwrap());
        }
        redactor
    }

    #[test]
    fn blank_secrets_are_none() {
        assert!(Secret::new(" \n").is_none());
        assert!(Secret::new(" key\n").is_some_and(|secret| secret.expose() == "key"));
    }

    #[test]
    fn secrets_leave_texts_in_every_form() {
        let redactor = redactor(&["sk-a/b\"c-123"]);
        let cleaned = redactor.clean(r#"key sk-a/b"c-123, {"k":"sk-a/b\"c-123"}, ?k=sk-a%2Fb%22c-123"#);
        assert_eq!(cleaned, r#"key [redacted], {"k":"[redacted]"}, ?k=[redacted]"#);
        assert!(redactor.finds(r"sk-a%2Fb%22c-123") && !redactor.finds(&cleaned));
    }

    #[test]
    fn one_secret_inside_another_leaves_no_rest() {
        assert_eq!(redactor(&["secret", "secret-longer"]).clean("a secret-longer b"), "a [redacted] b");
    }

    #[test]
    fn short_secrets_do_not_tear_words_apart() {
        assert_eq!(redactor(&["a"]).clean("a banana"), "a banana");
    }
}
