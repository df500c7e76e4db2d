//! Workers that die, hang or leave by themselves: only what they had accepted can be lost.

#[path = "../support/mod.rs"]
mod support;

mod backing_off;
mod boot;
mod final_exit;
mod killed;
mod leaving;
mod strangers;
mod stuck;
