//! Agent handles.

/// The name by which a human connects to an agent: 1 to 255 characters without white space, case-insensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    as_given: String,
    key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to {} characters without whitespace or control characters; a leading @ is removed",
    Handle::MAX_CHARACTERS
)]
pub struct InvalidHandle;

impl Handle {
    /// Maximum length in characters, without the `@`.
    pub const MAX_CHARACTERS: usize = 255;

    /// Removes one leading `@` and keeps the rest unchanged.
    ///
    /// # Errors
    /// The handle is empty or too long, starts with another `@`, or has white space or control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidHandle> {
        let name = text.strip_prefix('@').unwrap_or(text);
        let length = name.chars().count();
        if length == 0
            || length > Self::MAX_CHARACTERS
            || name.starts_with('@')
            || name.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(InvalidHandle);
        }
        Ok(Self { as_given: name.to_owned(), key: name.to_lowercase() })
    }

    /// The handle for display: unchanged, without `@`.
    #[must_use]
    pub fn as_given(&self) -> &str {
        &self.as_given
    }

    /// The lower-case form, by which handles are compared.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::Handle;

    #[test]
    fn parse_removes_one_at_sign_and_keeps_case_for_display() {
        let handle = Handle::parse("@SalesBot").expect("a handle");
        assert_eq!((handle.as_given(), handle.key()), ("SalesBot", "salesbot"));
    }

    #[test]
    fn parse_rejects_empty_blank_and_long() {
        for bad in ["", "@", "@@a", "a b", " a", "a\t", "a\u{a0}b", "a\0", &"x".repeat(256)] {
            assert!(Handle::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Handle::parse(&"é".repeat(255)).is_ok(), "characters are counted, not bytes");
    }
}
