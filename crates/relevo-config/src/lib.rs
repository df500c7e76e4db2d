//! Text in, validated values or diagnostics out.
//!
//! Nothing here reads a file, the environment or a clock: the shell reads, this crate judges. So
//! every refusal a user can meet is a unit test. Five groups:
//!
//! - the values of options ([`ServiceName`], [`Workers`], [`Span`], …), each a `FromStr` whose
//!   error names the value, the reason and the remedy, gathered in [`Options`]; [`Setting`] is the table of all of
//!   them;
//! - files' texts: [`config_file`], [`env_file`], [`Package`], [`cpu`];
//! - the values of `prove`'s options: [`prove`];
//! - what a reload would change: [`difference()`];
//! - what to run: [`program()`], [`Script`], [`type_stripping`].

mod backlog;
mod balance_word;
mod canary;
mod choices;
pub mod config_file;
pub mod cpu;
mod diagnostic;
mod difference;
pub mod env_file;
mod env_pair;
mod final_exit_codes;
mod handover_word;
mod hook_commands;
mod ignore_glob;
mod invalid_value;
mod node_flags;
mod options;
mod package;
mod program;
pub mod prove;
mod ready_word;
mod refusal;
mod reload_at;
mod request_limit;
mod scale_to;
mod script;
mod secret;
mod service_name;
mod setting;
mod shell_words;
mod similar;
mod size;
mod span;
mod standby;
mod start_script;
mod stop_signal;
mod surge;
mod type_stripping;
mod weights_word;
mod workers;
mod wrapper;

pub use backlog::Backlog;
pub use balance_word::BalanceWord;
pub use canary::{CanaryRequests, CanaryShare, InconclusiveWord, contradiction};
pub use choices::Choices;
pub use config_file::ConfigFile;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use difference::{Change, ChangeKind, Configured, difference};
pub use env_pair::EnvPair;
pub use final_exit_codes::FinalExitCodes;
pub use handover_word::HandoverWord;
pub use hook_commands::HookCommands;
pub use ignore_glob::IgnoreGlob;
pub use invalid_value::InvalidValue;
pub use node_flags::check_node_args;
pub use options::Options;
pub use package::{Package, PackageError};
pub use program::{Program, Surroundings, program};
pub use ready_word::ReadyWord;
pub use refusal::Refusal;
pub use reload_at::ReloadAt;
pub use request_limit::RequestLimit;
pub use scale_to::ScaleTo;
pub use script::{Script, candidates};
pub use service_name::ServiceName;
pub use setting::{Form, OnReload, Setting};
pub use similar::similar;
pub use size::Size;
pub use span::Span;
pub use standby::Standby;
pub use stop_signal::StopSignal;
pub use surge::SurgeWord;
pub use type_stripping::{NodeVersion, Stripping, type_stripping, type_stripping_flag};
pub use weights_word::WeightsWord;
pub use workers::Workers;
