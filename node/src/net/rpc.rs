//! Questions and answers between two peers as bounded byte strings.
//!
//! Wire format of either direction: a 4-byte big-endian length, then that many bytes.
//! Invariants: nothing is allocated for a length that is only claimed; a length over the bound
//! becomes a value that names the sender, since libp2p drops errors of incoming requests.
//! What it is not: an encoding. See `protocol::codec` for what is inside.

use std::io;

use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::request_response::Codec;

/// One direction's byte string, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// Within the bound.
    Bytes(Vec<u8>),
    /// The sender claimed this many bytes, more than the bound; none of them were read.
    TooLong(u32),
}

/// Reads and writes [`Frame`]s of at most these many bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameCodec {
    pub(super) request_bytes_max: usize,
    pub(super) response_bytes_max: usize,
}

impl Codec for FrameCodec {
    type Protocol = &'static str;
    type Request = Frame;
    type Response = Frame;

    async fn read_request<T>(&mut self, _: &&'static str, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, self.request_bytes_max).await
    }

    async fn read_response<T>(&mut self, _: &&'static str, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, self.response_bytes_max).await
    }

    async fn write_request<T>(&mut self, _: &&'static str, io: &mut T, f: Frame) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &f, self.request_bytes_max).await
    }

    async fn write_response<T>(&mut self, _: &&'static str, io: &mut T, f: Frame) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &f, self.response_bytes_max).await
    }
}

async fn read<T: AsyncRead + Unpin>(io: &mut T, bytes_max: usize) -> io::Result<Frame> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length);
    if length as usize > bytes_max {
        return Ok(Frame::TooLong(length));
    }
    // The vector grows with what arrives, not with what was claimed.
    let mut bytes = Vec::new();
    io.take(u64::from(length)).read_to_end(&mut bytes).await?;
    if bytes.len() == length as usize {
        Ok(Frame::Bytes(bytes))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

async fn write<T: AsyncWrite + Unpin>(
    io: &mut T,
    frame: &Frame,
    bytes_max: usize,
) -> io::Result<()> {
    let length = match frame {
        Frame::Bytes(bytes) if bytes.len() <= bytes_max => u32::try_from(bytes.len()).ok(),
        _ => None,
    };
    let (Frame::Bytes(bytes), Some(length)) = (frame, length) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "longer than the bound"));
    };
    io.write_all(&length.to_be_bytes()).await?;
    // The stream's end is closed, and so flushed, by the caller.
    io.write_all(bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::futures::io::Cursor;

    async fn read_all(bytes: &[u8], bytes_max: usize) -> io::Result<Frame> {
        read(&mut Cursor::new(bytes), bytes_max).await
    }

    #[tokio::test]
    async fn a_frame_survives_the_wire() {
        let mut wire = Cursor::new(Vec::new());
        let frame = Frame::Bytes(b"hello".to_vec());
        write(&mut wire, &frame, 5).await.expect("within the bound");
        let wire = wire.into_inner();
        assert_eq!(wire, [&[0, 0, 0, 5][..], b"hello"].concat());
        assert_eq!(read_all(&wire, 5).await.expect("well formed"), frame);
    }

    #[tokio::test]
    async fn oversize_and_truncated_frames_are_refused() {
        let mut wire = Cursor::new(Vec::new());
        assert!(write(&mut wire, &Frame::Bytes(vec![0; 6]), 5).await.is_err());
        assert!(wire.into_inner().is_empty());
        assert_eq!(read_all(&[0xff; 64], 5).await.expect("named"), Frame::TooLong(u32::MAX));
        assert!(read_all(&[0, 0, 0, 5, 1], 5).await.is_err());
        assert!(read_all(&[0, 0], 5).await.is_err());
    }
}
