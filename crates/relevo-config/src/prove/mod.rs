//! The values of `relevo prove`'s options.

mod client_kind;
mod header;
mod kind_path;
mod mix;
mod statuses;

pub use client_kind::ClientKind;
pub use header::Header;
pub use kind_path::KindPath;
pub use mix::Mix;
pub use statuses::Statuses;
