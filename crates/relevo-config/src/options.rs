//! All options of a service together, with their defaults.

use std::path::PathBuf;

use relevo_core::{Canary, HookSpec, Limits, Spec};

use crate::{
    Backlog, BalanceWord, CanaryRequests, CanaryShare, EnvPair, FinalExitCodes, HandoverWord,
    HookCommands, IgnoreGlob, InconclusiveWord, ReadyWord, ReloadAt, RequestLimit, ServiceName,
    Size, Span, Standby, StopSignal, SurgeWord, WeightsWord, Workers,
};

/// What a user may choose for a service. `Options::default()` is what runs if nothing is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `--name`; without it the package's or directory's name is taken.
    pub name: Option<ServiceName>,
    /// `--workers`
    pub workers: Workers,
    /// `--balance`
    pub balance: BalanceWord,
    /// `--weights`
    pub weights: WeightsWord,
    /// `--backlog`
    pub backlog: Backlog,
    /// `--ready`: when a new worker counts as ready.
    pub ready: ReadyWord,
    /// `--ready-timeout`: how long a new worker may take until it is ready.
    pub ready_timeout: Span,
    /// `--probation`: how long the first new worker of a rollout serves before the others follow.
    pub probation: Span,
    /// `--canary-requests`: how many requests the first new worker must have answered before that.
    pub canary_requests: Option<CanaryRequests>,
    /// `--canary-share`: how many of a hundred new connections it gets until then.
    pub canary_share: Option<CanaryShare>,
    /// `--canary-timeout`: how long it may take to answer so many.
    pub canary_timeout: Span,
    /// `--canary-inconclusive`: what follows where it cannot be judged.
    pub canary_inconclusive: InconclusiveWord,
    /// `--surge`: how many new workers a rollout starts at once.
    pub surge: SurgeWord,
    /// `--all-first`: load all new workers before any of them serves.
    pub all_first: bool,
    /// `--standby`: how many spare workers there are.
    pub standby: Standby,
    /// `--drain-timeout`: how long a replaced worker may finish its work.
    pub drain_timeout: Span,
    /// `--handover`: which idle connections of a replaced worker move to others.
    pub handover: HandoverWord,
    /// `--linger`: how long a replaced worker may wait for idle connections that cannot move.
    pub linger: Span,
    /// `--drain-spread`: over how long WebSockets and event streams are told to go.
    pub drain_spread: Span,
    /// `--hold`: how long connections may wait while no worker is there to have them.
    pub hold: Span,
    /// `--shutdown-timeout`: how long a stop may take in all.
    pub shutdown_timeout: Span,
    /// How long a stop goes on serving before that.
    pub lame_duck: Span,
    /// `--stop-signal`
    pub stop_signal: StopSignal,
    /// `--stop-timeout`: from the stop signal until a worker is killed.
    pub stop_timeout: Span,
    /// `--max-memory`: how much resident memory a worker may have.
    pub max_memory: Option<Size>,
    /// `--max-age`: how long a worker may serve.
    pub max_age: Option<Span>,
    /// `--max-requests`: how many requests a worker may be asked.
    pub max_requests: Option<RequestLimit>,
    /// `--hang-timeout`: how long a worker's event loop may stand still; 0: for ever.
    pub hang_timeout: Span,
    /// False under `--no-agent`.
    pub agent: bool,
    /// `--node-arg`, in the order given, before those of the program itself.
    pub node_args: Vec<String>,
    /// `--cwd`: the workers' directory.
    pub cwd: Option<PathBuf>,
    /// `--user`: who the workers run as, by name or number.
    pub user: Option<String>,
    /// `--group`
    pub group: Option<String>,
    /// `--env`, in the order given; the last of one name counts.
    pub env: Vec<EnvPair>,
    /// `--env-file`, in the order given; `--env` counts before them.
    pub env_files: Vec<PathBuf>,
    /// `--watch`: what is watched for changes; `None` stands for the workers' directory.
    pub watch: Vec<Option<PathBuf>>,
    /// `--ignore`: changes of what matches are no reason to reload.
    pub ignore: Vec<IgnoreGlob>,
    /// `--reload-at`: when to reload by the clock.
    pub reload_at: Vec<ReloadAt>,
    /// `--keep-trying`: go on although the first start has failed in every slot.
    pub keep_trying: bool,
    /// `--final-exit-codes`: exits that are not followed by a replacement.
    pub final_exit_codes: FinalExitCodes,
    /// `--hook-before` and its like.
    pub hooks: HookCommands,
    /// `--hook-timeout`: how long one may take.
    pub hook_timeout: Span,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            workers: Workers::Auto,
            balance: BalanceWord::default(),
            weights: WeightsWord::default(),
            backlog: Backlog::default(),
            ready: ReadyWord::default(),
            ready_timeout: Span::seconds(30),
            probation: Span::seconds(1),
            canary_requests: None,
            canary_share: None,
            canary_timeout: Span::seconds(60),
            canary_inconclusive: InconclusiveWord::default(),
            surge: SurgeWord::default(),
            all_first: false,
            standby: Standby::default(),
            drain_timeout: Span::seconds(30),
            handover: HandoverWord::default(),
            linger: Span::seconds(120),
            drain_spread: Span::seconds(0),
            hold: Span::seconds(10),
            // Below the 30 s after which orchestrators kill.
            shutdown_timeout: Span::seconds(25),
            lame_duck: Span::seconds(0),
            stop_signal: StopSignal::TERM,
            stop_timeout: Span::seconds(10),
            max_memory: None,
            max_age: None,
            max_requests: None,
            hang_timeout: Span::seconds(30),
            agent: true,
            node_args: Vec::new(),
            cwd: None,
            user: None,
            group: None,
            env: Vec::new(),
            env_files: Vec::new(),
            watch: Vec::new(),
            ignore: Vec::new(),
            reload_at: Vec::new(),
            keep_trying: false,
            final_exit_codes: FinalExitCodes::default(),
            hooks: HookCommands::default(),
            hook_timeout: Span::seconds(30),
        }
    }
}

impl Options {
    /// The part that decisions depend on, for `slots` slots (see [`Workers::slots`]), which are
    /// brought into the range a service can have. What the kernel is set to is taken as usual.
    pub fn spec(&self, slots: u32) -> Spec {
        Spec {
            slots: slots.clamp(1, Spec::MAX_SLOTS),
            balance: self.balance.balance(),
            agent: self.agent,
            ready: self.ready.when(),
            ready_timeout: self.ready_timeout.duration(),
            probation: self.probation.duration(),
            canary: self.canary_requests.map(|requests| Canary {
                requests: requests.get(),
                timeout: self.canary_timeout.duration(),
                inconclusive: self.canary_inconclusive.inconclusive(),
            }),
            canary_share: self.canary_share.map(CanaryShare::percent),
            surge: self.surge.surge(),
            all_first: self.all_first,
            standby: self.standby.workers(),
            drain_timeout: self.drain_timeout.duration(),
            linger: self.linger.duration(),
            shutdown_timeout: self.shutdown_timeout.duration(),
            lame_duck: self.lame_duck.duration(),
            stop_timeout: self.stop_timeout.duration(),
            keep_trying: self.keep_trying,
            final_exit_codes: self.final_exit_codes.codes(),
            hooks: HookSpec { there: self.hooks.kinds(), timeout: self.hook_timeout.duration() },
            hold: self.hold.duration(),
            limits: Limits {
                memory: self.max_memory.map(Size::bytes),
                age: self.max_age.map(Span::duration),
                requests: self.max_requests.map(RequestLimit::get),
            },
            hang_timeout: Some(self.hang_timeout.duration()).filter(|timeout| !timeout.is_zero()),
            synack_retries: Spec::SYNACK_RETRIES,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use relevo_core::{Balance, Surge};

    use super::*;

    #[test]
    fn the_defaults_make_the_spec() {
        let expected = Spec {
            slots: 4,
            balance: Balance::Auto,
            agent: true,
            ready: relevo_core::ReadyWhen::Listening,
            ready_timeout: Duration::from_secs(30),
            probation: Duration::from_secs(1),
            canary: None,
            canary_share: None,
            surge: Surge::Workers(1),
            all_first: false,
            standby: 0,
            drain_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(120),
            shutdown_timeout: Duration::from_secs(25),
            lame_duck: Duration::ZERO,
            stop_timeout: Duration::from_secs(10),
            keep_trying: false,
            final_exit_codes: relevo_core::ExitCodes::default(),
            hooks: HookSpec { there: Vec::new(), timeout: Duration::from_secs(30) },
            hold: Duration::from_secs(10),
            limits: Limits::default(),
            hang_timeout: Some(Duration::from_secs(30)),
            synack_retries: 5,
        };
        assert_eq!(Options::default().spec(4), expected);
        assert_eq!(Options::default().backlog.get(), 4096);
    }

    #[test]
    fn slots_stay_in_range() {
        assert_eq!(Options::default().spec(0).slots, 1);
        assert_eq!(Options::default().spec(u32::MAX).slots, Spec::MAX_SLOTS);
    }
}
