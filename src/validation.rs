//! Checking what came from outside, whatever brought it: an RPC, or a carrier's webhook. Wrong fields are collected,
//! not reported one by one.

use crate::domain::PhoneNumber;
use crate::error::{Error, FieldViolation, Result};

/// Collects the wrong fields of one request. Each method reads a field and returns `None` where it is wrong, having
/// written down why; [`Violations::finish`] gives the parsed request only when nothing was.
#[derive(Debug, Default)]
pub struct Violations {
    violations: Vec<FieldViolation>,
}

impl Violations {
    /// The parsed request, or every wrong field at once.
    pub fn finish<T>(self, parsed: impl FnOnce() -> Option<T>) -> Result<T> {
        if !self.violations.is_empty() {
            return Err(Error::InvalidArgument(self.violations));
        }
        parsed().ok_or_else(|| {
            tracing::error!("a field was refused without saying why");
            Error::Internal
        })
    }

    /// Writes down that a field is wrong.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push(FieldViolation { field: field.into(), description: description.into() });
    }

    /// A phone number.
    pub fn phone_number(&mut self, field: &str, text: &str) -> Option<PhoneNumber> {
        match PhoneNumber::parse(text) {
            Ok(number) => Some(number),
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }

    /// Text for the database, unchanged. PostgreSQL stores every character but NUL.
    pub fn text(&mut self, field: &str, text: String, most_characters: usize) -> Option<String> {
        if text.contains('\0') {
            self.add(field, "must not contain the NUL character");
            return None;
        }
        // Bytes are at least as many as characters, so most texts need no count.
        if text.len() > most_characters && text.chars().count() > most_characters {
            self.add(field, format!("must be at most {most_characters} characters"));
            return None;
        }
        Some(text)
    }

    /// Text that must not be empty.
    pub fn required_text(&mut self, field: &str, text: String, most_characters: usize) -> Option<String> {
        if text.is_empty() {
            self.add(field, "is required");
            return None;
        }
        self.text(field, text, most_characters)
    }

    /// Which part of a message, from 0.
    pub fn part_index(&mut self, part_index: i32, parts: i32) -> Option<i32> {
        if !(0..parts).contains(&part_index) {
            self.add("part_index", format!("must be 0 to {}", parts - 1));
            return None;
        }
        Some(part_index)
    }
}
