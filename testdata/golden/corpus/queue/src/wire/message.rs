//! What is inside the frames.

use bytes::Bytes;

use super::frame::Frame;
use crate::job::JobId;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Hello { version: u8 },
    Push { topic: String, payload: Bytes },
    Claim { worker: String },
    Complete { job: JobId },
    Fail { job: JobId, reason: String },
    Heartbeat { job: JobId },
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    Welcome { version: u8 },
    Accepted { job: JobId },
    Nothing,
    Refused { code: u16, message: String },
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MessageError {
    #[error("unknown message kind {0:#04x}")]
    UnknownKind(u8),
    #[error("message {0} ends before its {1}")]
    Truncated(&'static str, &'static str),
    #[error("protocol version {theirs} is not spoken here; this server speaks {ours}")]
    Version { theirs: u8, ours: u8 },
}

impl Request {
    /// Reads a request from a frame.
    pub fn parse(frame: &Frame) -> Result<Request, MessageError> {
        let body = &frame.body;
        let text = |from: usize| String::from_utf8_lossy(&body[from.min(body.len())..]).into_owned();
        let job = |message: &'static str| {
            let text = body.get(..23).ok_or(MessageError::Truncated(message, "job id"))?;
            String::from_utf8_lossy(text).parse::<JobId>().map_err(|_| MessageError::Truncated(message, "job id"))
        };
        match frame.kind {
            0x01 => Ok(Request::Hello { version: *body.first().ok_or(MessageError::Truncated("hello", "version"))? }),
            0x02 => {
                let length = *body.first().ok_or(MessageError::Truncated("push", "topic"))? as usize;
                let topic = body.get(1..1 + length).ok_or(MessageError::Truncated("push", "topic"))?;
                let topic = String::from_utf8_lossy(topic).into_owned();
                Ok(Request::Push { topic, payload: body.slice(1 + length..) })
            }
            0x03 => Ok(Request::Claim { worker: text(0) }),
            0x04 => Ok(Request::Complete { job: job("complete")? }),
            0x05 => Ok(Request::Fail { job: job("fail")?, reason: text(23) }),
            0x06 => Ok(Request::Heartbeat { job: job("heartbeat")? }),
            kind => Err(MessageError::UnknownKind(kind)),
        }
    }
}

impl Response {
    /// The response as a frame.
    pub fn to_frame(&self) -> Frame {
        let (kind, body) = match self {
            Response::Welcome { version } => (0x81, vec![*version]),
            Response::Accepted { job } => (0x82, job.to_string().into_bytes()),
            Response::Nothing => (0x83, Vec::new()),
            Response::Refused { code, message } => {
                let mut body = code.to_be_bytes().to_vec();
                body.extend_from_slice(message.as_bytes());
                (0xff, body)
            }
        };
        Frame { kind, body: Bytes::from(body) }
    }
}
