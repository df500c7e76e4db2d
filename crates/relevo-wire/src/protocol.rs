//! The control socket's lines: one JSON object each, ended by a newline.
//!
//! ```text
//! client                                     primary
//!   {"hello":1}                        ──▶
//!                                      ◀──   {"hello":1,"name":"web","pid":42,"version":"0.1.0"}
//!   {"id":1,"do":"reload","args":{}}   ──▶
//!                                      ◀──   {"id":1,"progress":{…}}      any number
//!                                      ◀──   {"id":1,"ok":{…}}            or "error", exactly one
//! ```
//!
//! The primary is strict: what it does not know is an error that names what it knows, so that no
//! wish is ever dropped in silence. The client is tolerant: fields it does not know are passed
//! over, since a newer primary may add some. An error about a line whose id could not be read has
//! the id `null`.

mod hello;
mod line_reader;
mod reply;
mod request;
mod strict;

pub use hello::{BadHello, Hello, HelloReply};
pub use line_reader::{LineReader, LineTooLong, MAX_LINE, MAX_REPLY_LINE};
pub use reply::{BadReply, Body, Failure, Nothing, Progress, Reply};
pub use request::{BadRequest, Count, Request, Verb};
pub use strict::Problem;

use serde::Serialize;

/// The version of this protocol.
pub const VERSION: u32 = 1;

/// `value` as a line of the protocol, with its newline.
fn to_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value)
        .expect("the protocol's types have string keys and cannot fail to serialise");
    line.push(b'\n');
    line
}
