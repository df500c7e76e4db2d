//! How often what happened: a simulation in which something never happens proves nothing about it.

macro_rules! tally {
    ($($name:ident),* $(,)?) => {
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Tally {
            $(pub(crate) $name: u64,)*
        }

        impl Tally {
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            pub(crate) fn check_nothing_is_missing(&self) {
                $(assert!(self.$name > 0, "never happened: {}", stringify!($name));)*
            }
        }
    };
}

tally! {
    steps,
    lost_events,
    doubled_events,
    clock_leaps,
    clock_went_back,
    spawns,
    spawns_failed,
    ready,
    loaded,
    promoted,
    memory_tight,
    not_ready_in_time,
    exits,
    ended_for_good,
    all_ended,
    revived,
    channels_lost,
    misbehaved,
    asked_to_leave,
    asked_to_leave_too_early,
    first_starts_failed,
    members_opened,
    members_failed,
    members_closed,
    answers,
    refusals,
    covered,
    rollouts_succeeded,
    rollouts_failed,
    rollouts_aborted,
    rollouts_stopped,
    rollouts_waited,
    rollouts_taken_back,
    parked,
    called_back,
    returned,
    hung_up,
    paused,
    resumed,
    undone_on_purpose,
    scaled_up,
    scaled_down,
    scalings_done,
    scalings_failed,
    scalings_superseded,
    scalings_aborted,
    retired_closed,
    went_down,
    came_up,
    ended_as_holders,
    drains,
    drains_cut,
    killed_for_not_going,
    requests_refused,
    stopped,
    stopped_at_once,
    connections,
    accepted_by_workers,
    accepts_failed,
    dealt,
    dealt_again,
    served,
    lost_with_their_worker,
    lost_with_their_listener,
    lost_by_shutdown,
    lost_to_strangers,
    steers,
    steers_refused,
    looks,
    counts,
    loads,
    lies,
    leaned,
    stood_still,
    blocked,
    unblocked,
    weights_with_blocked,
    rescued,
    rescued_in_time,
    strangers_came,
    strangers_left,
    strangers_found,
    shut_down,
    shut_found,
    mended,
    foreign_programs,
    shares_wrong,
    set_right,
    floods,
    flips_to_kernel,
    flips_to_front,
    credits,
    handed_over,
    given_back,
    given_unasked,
    rebalanced,
}
