//! Calls by path with raw message bytes: for code that treats all RPCs alike, and for requests that no generated client sends.

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Response, Status};

use super::callers::Caller;

/// Uses bytes as messages without encoding.
#[derive(Debug, Clone, Copy, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

impl Caller {
    /// Calls `/package.Service/Rpc` with the key of this caller.
    pub async fn raw(&self, path: &str, message: impl Into<Bytes>) -> Result<Response<Bytes>, Status> {
        self.send(path, self.request(message.into())).await
    }

    /// The same for an RPC that answers with a stream, of which the first message is read.
    pub async fn first_of_stream(
        &self,
        path: &str,
        message: impl Into<Bytes>,
    ) -> Result<Response<Bytes>, Status> {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let path = PathAndQuery::try_from(path).unwrap();
        let response = client.server_streaming(self.request(message.into()), path, BytesCodec).await?;
        let (metadata, mut stream, extensions) = response.into_parts();
        let first = stream.message().await?.unwrap_or_default();
        Ok(Response::from_parts(metadata, first, extensions))
    }

    /// The same with the metadata of the request only: no key is added.
    pub async fn send(&self, path: &str, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        client.unary(request, PathAndQuery::try_from(path).unwrap(), BytesCodec).await
    }
}
