//! Validation of external input, shared by all APIs. All violations of a request are collected and reported together.

use crate::domain::{InvalidPhoneNumber, PhoneNumber};
use crate::error::{Error, FieldViolation, Result};

/// The violations of one request. Each method parses a field; it adds a violation and returns `None` if the field is
/// invalid. [`Violations::finish`] returns the parsed request if there are no violations.
#[derive(Debug, Default)]
pub struct Violations {
    violations: Vec<FieldViolation>,
}

impl Violations {
    /// # Errors
    /// `InvalidArgument` with all violations.
    pub fn finish<T>(self, parsed: impl FnOnce() -> Option<T>) -> Result<T> {
        if !self.violations.is_empty() {
            return Err(Error::InvalidArgument(self.violations));
        }
        parsed().ok_or_else(|| {
            tracing::error!("a parser returned no value and added no violation");
            Error::Internal
        })
    }

    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push(FieldViolation { field: field.into(), description: description.into() });
    }

    /// The number of a line, in E.164 form.
    pub fn line_number(&mut self, field: &str, text: &str) -> Option<PhoneNumber> {
        self.phone_number(field, PhoneNumber::parse(text))
    }

    /// The number of a human, in E.164 form; its canonical form is returned.
    pub fn subscriber(&mut self, field: &str, text: &str) -> Option<PhoneNumber> {
        self.phone_number(field, PhoneNumber::parse_subscriber(text))
    }

    fn phone_number(
        &mut self,
        field: &str,
        parsed: Result<PhoneNumber, InvalidPhoneNumber>,
    ) -> Option<PhoneNumber> {
        match parsed {
            Ok(number) => Some(number),
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }

    /// Text for the database, unchanged. PostgreSQL stores every character except NUL.
    pub fn text(&mut self, field: &str, text: String, max_characters: usize) -> Option<String> {
        if text.contains('\0') {
            self.add(field, "must not contain the NUL character");
            return None;
        }
        // A text has at least as many bytes as characters, so most texts need no count.
        if text.len() > max_characters && text.chars().count() > max_characters {
            self.add(field, format!("must be at most {max_characters} characters"));
            return None;
        }
        Some(text)
    }

    pub fn required_text(&mut self, field: &str, text: String, max_characters: usize) -> Option<String> {
        if text.is_empty() {
            self.add(field, "is required");
            return None;
        }
        self.text(field, text, max_characters)
    }

    /// A part of a message, from 0.
    pub fn part_index(&mut self, part_index: i32, parts: i32) -> Option<i32> {
        if !(0..parts).contains(&part_index) {
            self.add("part_index", format!("must be 0 to {}", parts - 1));
            return None;
        }
        Some(part_index)
    }
}
