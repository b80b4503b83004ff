//! Frames: a length, a kind, and the body.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A frame may not be longer, whatever its length field says.
pub const MAX_FRAME: usize = 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub body: Bytes,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    #[error("frame of {0} bytes is over the limit of 1048576")]
    TooLong(usize),
    #[error("frame is empty: it has no kind")]
    Empty,
}

impl Frame {
    /// The frame as bytes on the wire.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u32((self.body.len() + 1) as u32);
        out.put_u8(self.kind);
        out.extend_from_slice(&self.body);
    }

    /// Takes one frame from the front of `buffer`; `None` while it is not all there.
    pub fn decode(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if buffer.len() < 4 {
            return Ok(None);
        }
        let length = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]) as usize;
        if length > MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if buffer.len() < 4 + length {
            buffer.reserve(4 + length - buffer.len());
            return Ok(None);
        }
        buffer.advance(4);
        let mut body = buffer.split_to(length);
        let kind = body.get_u8();
        Ok(Some(Frame { kind, body: body.freeze() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_frame_waits_for_the_rest() {
        let mut whole = BytesMut::new();
        Frame { kind: 7, body: Bytes::from_static(b"hello") }.encode(&mut whole);
        let mut half = BytesMut::from(&whole[..6]);
        assert_eq!(Frame::decode(&mut half), Ok(None));
        half.extend_from_slice(&whole[6..]);
        assert_eq!(Frame::decode(&mut half).map(|frame| frame.map(|frame| frame.kind)), Ok(Some(7)));
    }
}
