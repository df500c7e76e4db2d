//! Workers that run as somebody else: `--user` and `--group`. Only root can try that; what others are
//! refused is tried by all.

#[path = "../support/mod.rs"]
mod support;

mod refused;
mod somebody;
