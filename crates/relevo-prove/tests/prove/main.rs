//! The instrument can fail: servers that do one thing wrong, each of which is found and named.

mod disturbed;
mod refused;
mod reports;
mod server;
mod wrong;
