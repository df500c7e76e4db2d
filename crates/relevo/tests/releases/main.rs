//! Which release workers run, and the ways back to an earlier one.

#[path = "../support/mod.rs"]
mod support;

mod in_place;
mod last_good;
mod moved;
mod rollback;
mod site;
