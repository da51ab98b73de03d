//! The files and symbols that reflection describes, by name.

use std::collections::HashMap;

use bytes::Bytes;
use prost::{DecodeError, Message as _};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

/// A `FileDescriptorSet` whose files stay encoded: decoding and encoding would lose custom options.
#[derive(Clone, PartialEq, prost::Message)]
struct EncodedFiles {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

pub(super) struct Symbol {
    /// The descriptor of the file that defines the symbol.
    pub(super) file: Bytes,
    pub(super) is_message: bool,
}

#[derive(Default)]
pub(super) struct Index {
    files: HashMap<String, Bytes>,
    symbols: HashMap<String, Symbol>,
}

impl Index {
    /// # Errors
    /// If a set of descriptors cannot be decoded.
    pub(super) fn new(descriptor_sets: &[&'static [u8]]) -> Result<Self, DecodeError> {
        let mut index = Self::default();
        for set in descriptor_sets {
            for encoded in EncodedFiles::decode(Bytes::from_static(set))?.file {
                let file = FileDescriptorProto::decode(encoded.clone())?;
                // Several sets contain the same imports.
                if index.files.insert(file.name().to_owned(), encoded.clone()).is_none() {
                    index.add_symbols(&file, &encoded);
                }
            }
        }
        Ok(index)
    }

    pub(super) fn file(&self, name: &str) -> Option<&Bytes> {
        self.files.get(name)
    }

    pub(super) fn symbol(&self, name: &str) -> Option<&Symbol> {
        self.symbols.get(name)
    }

    fn add_symbols(&mut self, file: &FileDescriptorProto, encoded: &Bytes) {
        let package = file.package();
        for message in &file.message_type {
            self.add_message(package, message, encoded);
        }
        for enumeration in &file.enum_type {
            self.add_enum(package, enumeration, encoded);
        }
        for service in &file.service {
            let service_name = self.add(package, service.name(), encoded, false);
            for method in &service.method {
                self.add(&service_name, method.name(), encoded, false);
            }
        }
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto, encoded: &Bytes) {
        let name = self.add(scope, message.name(), encoded, true);
        for nested in &message.nested_type {
            self.add_message(&name, nested, encoded);
        }
        for enumeration in &message.enum_type {
            self.add_enum(&name, enumeration, encoded);
        }
        for field in &message.field {
            self.add(&name, field.name(), encoded, false);
        }
        for oneof in &message.oneof_decl {
            self.add(&name, oneof.name(), encoded, false);
        }
    }

    /// The values of an enum are siblings of the enum, as in C++.
    fn add_enum(&mut self, scope: &str, enumeration: &EnumDescriptorProto, encoded: &Bytes) {
        self.add(scope, enumeration.name(), encoded, false);
        for value in &enumeration.value {
            self.add(scope, value.name(), encoded, false);
        }
    }

    /// Returns the complete name.
    fn add(&mut self, scope: &str, name: &str, encoded: &Bytes, is_message: bool) -> String {
        let name = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        self.symbols.insert(name.clone(), Symbol { file: encoded.clone(), is_message });
        name
    }
}
