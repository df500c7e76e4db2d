//! What a reload would change: `reload --dry-run`.

use serde::{Deserialize, Serialize};

/// The difference between what a service runs with and what is written for it now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What differs: options first, then variables by name.
    pub changes: Vec<Change>,
    /// How many more variables differ than are listed.
    pub more: u64,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The option, `script`, `args`, or `env.NAME` for a variable.
    pub key: String,
    /// In which way it differs.
    pub change: Kind,
    /// What counts now; `null` where nothing does, and for secrets.
    pub from: Option<String>,
    /// What is to count; `null` where nothing is, and for secrets.
    pub to: Option<String>,
    /// Whether the values are left out because its name or value looks like a secret's.
    pub secret: bool,
    /// What a reload does about it.
    pub effect: Effect,
    /// Why it is refused.
    pub reason: Option<String>,
}

/// The ways in which something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// It has another value.
    Changed,
}

/// What a reload does about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The rollout brings it.
    Rollout,
    /// The service is scaled when the rollout has succeeded.
    Scaling,
    /// The reload is refused because of it.
    Refused,
}
