//! The protobuf codec. It differs from tonic's in two points: a request that cannot be decoded fails with
//! `INVALID_ARGUMENT`, which names the field, and not with `INTERNAL`; and a response is encoded into a buffer of its size,
//! which does not grow by copying.

use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::error::Error;
use crate::grpc::wire::status;

/// The codec of all services; `build.rs` configures the code generator with it.
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

#[derive(Debug, Clone)]
pub struct ContractEncoder<T> {
    message: PhantomData<T>,
}

impl<T: Message> Encoder for ContractEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.encoded_len());
        // Fails only if the buffer cannot grow.
        message.encode(buffer).map_err(|_| status::from_error(&Error::Internal, ""))
    }
}

#[derive(Debug, Clone)]
pub struct ContractDecoder<U> {
    message: PhantomData<U>,
}

impl<U: Message + Default> Decoder for ContractDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(buffer).map(Some).map_err(|error| status::decode_error(&error))
    }
}
