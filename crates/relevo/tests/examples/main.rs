//! What the repository shows to newcomers works: the examples, and every command in the documents.

#[path = "../support/mod.rs"]
mod support;

mod apps;
mod deploy;
mod documents;
mod git_deploy;
mod systemd;
