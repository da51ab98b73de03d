//! Protobuf on the wire. Differs from tonic's own codec in two things: a request that cannot be decoded is the
//! caller's mistake (`INVALID_ARGUMENT`, naming the field), not an internal error of ours; and an answer that is too long
//! says so with a reason.

use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::status;
use crate::error::Error;

/// The longest answer, in bytes: what clients take where they are not told otherwise.
pub(super) const ANSWER_LIMIT: usize = 4 << 20;

/// The codec of every service; `build.rs` names it to the code generator.
#[derive(Debug, Clone)]
pub struct ContractCodec<T, U> {
    messages: PhantomData<(T, U)>,
}

impl<T, U> Default for ContractCodec<T, U> {
    fn default() -> Self {
        Self { messages: PhantomData }
    }
}

impl<T, U> Codec for ContractCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ContractEncoder<T>;
    type Decoder = ContractDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ContractEncoder { message: PhantomData }
    }

    fn decoder(&mut self) -> Self::Decoder {
        ContractDecoder { message: PhantomData }
    }
}

/// Encodes messages of the contract.
#[derive(Debug, Clone)]
pub struct ContractEncoder<T> {
    message: PhantomData<T>,
}

impl<T: Message> Encoder for ContractEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        if message.encoded_len() > ANSWER_LIMIT {
            return Err(status::of(&Error::TooLarge { what: "the answer", limit: ANSWER_LIMIT }, ""));
        }
        // Without measuring it again. The buffer grows as it has to.
        message.encode_raw(buffer);
        Ok(())
    }
}

/// Decodes messages of the contract.
#[derive(Debug, Clone)]
pub struct ContractDecoder<U> {
    message: PhantomData<U>,
}

impl<U: Message + Default> Decoder for ContractDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(buffer).map(Some).map_err(|error| status::undecodable(&error))
    }
}
