//! What a trial comes to, for people and for machines.

mod columns;
mod html;
mod junit;
mod plot;
mod table;
mod verdict;
mod words;

pub use html::html;
pub use junit::junit;
pub use table::table;
pub(crate) use verdict::judge;
pub use words::{grouped, micros, seconds};
