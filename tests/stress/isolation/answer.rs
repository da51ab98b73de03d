//! An answer, to the byte.

use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message as _;
use tonic::Status;
use tonic::metadata::KeyAndValueRef;

use crate::isolation::contract::Rpc;
use crate::isolation::requests::Request;
use crate::support::callers::Caller;

/// All that a caller can see of an answer, but for what is of the moment: the request id and the date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: i32,
    pub message: String,
    /// Of an error its details, else the answer's message.
    pub bytes: Vec<u8>,
    /// Headers and trailers, in the order in which they came.
    pub metadata: Vec<(String, Vec<u8>)>,
}

impl Answer {
    pub fn is_ok(&self) -> bool {
        self.code == 0
    }
}

/// Makes a call.
pub async fn ask(caller: &Caller, rpc: &Rpc, request: &Request) -> Answer {
    let message = DynamicMessage::deserialize(rpc.request.clone(), request.clone())
        .unwrap_or_else(|error| panic!("{}: {error}: {request}", rpc.name));
    let answer = if rpc.streams {
        caller.first_of_stream(&rpc.path(), message.encode_to_vec()).await
    } else {
        caller.raw(&rpc.path(), message.encode_to_vec()).await
    };
    match answer {
        Ok(response) => {
            let (metadata, bytes, _) = response.into_parts();
            Answer { code: 0, message: String::new(), bytes: bytes.to_vec(), metadata: lasting(&metadata) }
        }
        Err(status) => of_error(&status),
    }
}

fn of_error(status: &Status) -> Answer {
    Answer {
        code: status.code().into(),
        message: status.message().to_owned(),
        bytes: status.details().to_vec(),
        metadata: lasting(status.metadata()),
    }
}

fn lasting(metadata: &tonic::metadata::MetadataMap) -> Vec<(String, Vec<u8>)> {
    let all = metadata.iter().map(|entry| match entry {
        KeyAndValueRef::Ascii(key, value) => (key.as_str().to_owned(), value.as_encoded_bytes().to_vec()),
        KeyAndValueRef::Binary(key, value) => (key.as_str().to_owned(), value.as_encoded_bytes().to_vec()),
    });
    all.filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str())).collect()
}
