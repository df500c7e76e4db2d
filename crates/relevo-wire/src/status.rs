//! How a service is: what `relevo status --json` prints.
//!
//! Every field is always there, in the order of the structs below. What is not known is `null`,
//! never 0; durations are milliseconds, sizes bytes, as their names say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of [`Status`]'s shape. Added fields do not change it.
pub const SCHEMA: u32 = 1;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The word that stands for it in JSON and in `status`.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// What a service is doing.
    ServiceState {
        /// No slot has been ready yet.
        Starting = "starting",
        /// Every slot is ready.
        Running = "running",
        /// A rollout is in progress.
        Reloading = "reloading",
        /// Some slot is not ready, or not on the generation it should be on.
        Degraded = "degraded",
        /// No slot was ready for too long: the listeners are closed.
        Down = "down",
        /// It was asked to stop.
        Stopping = "stopping",
    }
}

words! {
    /// What a slot is doing.
    SlotState {
        /// It has a ready worker.
        Ready = "ready",
        /// It has none, and one is starting.
        Vacant = "vacant",
        /// It has none, and waits before the next try.
        BackingOff = "backing_off",
        /// Its worker's event loop does not move.
        Hung = "hung",
        /// Its worker has ended for good, and is not replaced.
        Ended = "ended",
    }
}

words! {
    /// What a worker is doing.
    WorkerState {
        /// It was spawned and is not ready yet.
        Starting = "starting",
        /// It is loaded, and waits for its listen to be answered.
        Standby = "standby",
        /// It serves.
        Ready = "ready",
        /// It accepts nothing new and finishes its requests.
        Draining = "draining",
        /// It has no request left, only connections that cannot move.
        Lingering = "lingering",
        /// It is kept, out of service, until the rollout cannot be undone any more.
        Parked = "parked",
        /// It was told to exit.
        Stopping = "stopping",
    }
}

words! {
    /// How a rollout ended.
    Outcome {
        /// Every slot is on the new generation.
        Succeeded = "succeeded",
        /// A new worker failed before any slot was replaced, or some slot could not be taken back.
        Failed = "failed",
        /// It failed, and the slots that were replaced are on the old generation again.
        RolledBack = "rolled_back",
        /// A user ended it.
        Aborted = "aborted",
    }
}

words! {
    /// What a rollout is waiting for.
    Phase {
        /// The new worker's readiness.
        Starting = "starting",
        /// The new workers of other slots: this one has loaded its code.
        Loaded = "loaded",
        /// The new worker's survival; whom it replaced is parked.
        Probation = "probation",
        /// The old workers' requests; there is no way back any more.
        Draining = "draining",
        /// It is undone: old workers serve again, and new ones finish their requests.
        Undoing = "undoing",
    }
}

words! {
    /// What a rollout came from.
    Cause {
        /// `relevo reload`, or another client of the control socket.
        Command = "command",
        /// SIGUSR2 or SIGHUP.
        Signal = "signal",
        /// Watched files that changed (`--watch`).
        Watch = "watch",
        /// Ctrl-R on the terminal.
        Terminal = "terminal",
        /// A time named by `--reload-at`.
        Schedule = "schedule",
    }
}

words! {
    /// Who gives a listener's connections to the workers.
    Dealing {
        /// The primary, from its own member of the group.
        Front = "front",
        /// The kernel, to the slots' sockets.
        Kernel = "kernel",
        /// The primary, all of them.
        Primary = "primary",
        /// Nobody: the workers take from one socket.
        Shared = "shared",
    }
}

words! {
    /// What a listener's address is an address of.
    ListenerKind {
        /// A TCP port.
        Tcp = "tcp",
        /// A UDP port.
        Udp = "udp",
        /// A Unix socket, by path or abstract name.
        Unix = "unix",
    }
}

/// A service in detail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The service's name.
    pub name: String,
    /// The primary's process.
    pub pid: u32,
    /// The primary's version.
    pub version: String,
    /// What it is doing.
    pub state: ServiceState,
    /// Why, where that is not plain.
    pub reason: Option<String>,
    /// The last generation whose rollout was completed; `null` before the first.
    pub generation: Option<u64>,
    /// The directory that generation was started from.
    pub release: Option<String>,
    /// All slots, by number.
    pub slots: Vec<Slot>,
    /// All addresses, in the order they were first listened on.
    pub listeners: Vec<Listener>,
    /// The rollout in progress, else the last one; `null` before the first.
    pub rollout: Option<Rollout>,
    /// When `--reload-at` is due next, in local time with its offset (RFC 3339); `null` without it.
    pub next_reload_at: Option<String>,
    /// What replacing and removing workers did to connections since the service began.
    pub totals: Option<Totals>,
}

/// One of the service's positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// Its number, from 0.
    pub slot: u32,
    /// What it is doing.
    pub state: SlotState,
    /// How many workers have been replaced here because they exited unasked.
    pub restarts: u64,
    /// How long until the next try, while backing off.
    pub next_try_ms: Option<u64>,
    /// The last exit here that nobody asked for.
    pub last_exit: Option<LastExit>,
    /// Its workers, oldest first.
    pub workers: Vec<Worker>,
    /// Its worker that has reached a limit and is to be replaced; `null` where there is none.
    pub renewal: Option<Renewal>,
}

/// A worker is replaced although it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// Whose replacement it is.
    pub worker: u64,
    /// Which limit it has reached, in words.
    pub reason: String,
    /// What the replacement waits for, in words; `null` when it has been started.
    pub waits_for: Option<String>,
    /// How long until the next try, where the last one failed or came too soon.
    pub next_try_ms: Option<u64>,
    /// How the last replacement here failed, if it did.
    pub failure: Option<String>,
}

/// How a worker ended: by a code or by a signal. Both are `null` if that could not be learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastExit {
    /// The code it exited with.
    pub code: Option<i32>,
    /// The signal that ended it, such as `SIGKILL`.
    pub signal: Option<String>,
    /// Whether the kernel said that it was ended because memory had run out.
    pub oom: bool,
    /// How long ago that was.
    pub ago_ms: u64,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// Its number, which is never used again.
    pub id: u64,
    /// Its process; `null` before it is spawned.
    pub pid: Option<u32>,
    /// The generation it belongs to.
    pub generation: u64,
    /// The directory it was started from.
    pub release: Option<String>,
    /// What it is doing.
    pub state: WorkerState,
    /// How long it has lived.
    pub uptime_ms: Option<u64>,
    /// Its resident memory.
    pub rss_bytes: Option<u64>,
    /// Its use of CPU time; 100 is one CPU.
    pub cpu_percent: Option<f64>,
    /// Its open connections.
    pub connections: Option<u64>,
    /// How many requests it has begun.
    pub requests: Option<u64>,
    /// How many of them are not finished.
    pub active_requests: Option<u64>,
    /// How late its event loop runs timers.
    pub loop_lag_ms: Option<f64>,
    /// What it says of itself (`STATUS=` of sd_notify(3)).
    #[serde(default)]
    pub status: Option<String>,
}

/// One address the service listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// `0.0.0.0:3000`, `[::]:3000`, `/run/web.sock`, `@abstract`.
    pub address: String,
    /// What that is.
    pub kind: ListenerKind,
    /// The word given to `--balance`.
    pub balance: String,
    /// Who deals at the moment.
    pub dealing: Option<Dealing>,
    /// The share of each slot in percent; `null` where nothing steers.
    pub weights: Option<Vec<u32>>,
    /// Connections that wait to be accepted or placed.
    pub queued: Option<u64>,
    /// The slots that the primary accepts for.
    pub covering: Vec<u32>,
}

/// The replacement of one generation by the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The generation it brings.
    pub generation: u64,
    /// What it came from; where wishes were joined, the first of them.
    pub cause: Option<Cause>,
    /// How it ended; `null` while it is in progress.
    pub outcome: Option<Outcome>,
    /// What it waits for; `null` when it is over.
    pub phase: Option<Phase>,
    /// The slot that is being replaced; of a failed rollout, the one where it failed.
    pub slot: Option<u32>,
    /// How many slots there are to replace.
    pub of: Option<u32>,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether somebody holds it where it is; `null` when it is over.
    pub paused: Option<bool>,
    /// What it waits for that may take long, in words; `null` when that is nothing.
    pub waits_for: Option<String>,
    /// Which slots run which generation: now, or when it was over.
    pub runs: Option<Vec<Runs>>,
    /// How long it took, or has taken so far.
    pub duration_ms: Option<u64>,
    /// Connections that moved to another worker unnoticed.
    pub handed_over: Option<u64>,
    /// Connections that were closed while idle.
    pub closed_idle: Option<u64>,
    /// Idle connections of which it cannot be promised that no request was on its way when they were
    /// closed: their keep-alive timeout is longer than `--linger`, or none was announced.
    pub not_zero: Option<u64>,
    /// Connections that could not move, by the reason.
    pub not_movable: Option<BTreeMap<String, u64>>,
    /// Connections that were cut.
    pub cut: Cut,
}

/// The slots that run one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// Which generation.
    pub generation: u64,
    /// Which slots.
    pub slots: Vec<u32>,
}

/// A rollout that has been paused, or resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The generation it brings.
    pub generation: u64,
    /// Whether it is held now.
    pub paused: bool,
    /// Where it is.
    pub slot: Option<u32>,
    /// How many slots there are to replace.
    pub of: Option<u32>,
}

/// What became of connections, in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Connections that moved to another worker unnoticed.
    pub handed_over: Option<u64>,
    /// Connections that were closed while idle.
    pub closed_idle: Option<u64>,
    /// Connections that were cut.
    pub cut: Cut,
}

/// What became of a change of the number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaling {
    /// How many slots there were.
    pub from: u32,
    /// How many there are to be.
    pub to: u32,
    /// How many have a ready worker.
    pub ready: Option<u32>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// Connections that were cut.
    pub cut: Cut,
}

/// How many connections were cut, by what was going on there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// A request that was being answered.
    pub request: Option<u64>,
    /// A request that was being sent.
    pub upload: Option<u64>,
    /// A stream of server-sent events.
    pub event_stream: Option<u64>,
    /// A WebSocket.
    pub websocket: Option<u64>,
    /// Nothing, over TLS.
    pub idle_tls: Option<u64>,
    /// What cannot be told.
    pub unknown: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Status {
        let cut = Cut {
            request: Some(0),
            upload: Some(0),
            event_stream: Some(1),
            websocket: Some(2),
            idle_tls: Some(0),
            unknown: Some(0),
        };
        let worker = Worker {
            id: 5,
            pid: Some(902),
            generation: 2,
            release: Some("/srv/shop/releases/7".into()),
            state: WorkerState::Ready,
            uptime_ms: Some(61_000),
            rss_bytes: Some(47_185_920),
            cpu_percent: Some(2.5),
            connections: Some(3),
            requests: Some(1_200),
            active_requests: Some(1),
            loop_lag_ms: Some(0.25),
            status: Some("warming up".into()),
        };
        let last_exit =
            LastExit { code: None, signal: Some("SIGKILL".into()), oom: true, ago_ms: 9_000 };
        Status {
            schema: SCHEMA,
            name: "shop".into(),
            pid: 900,
            version: "0.1.0".into(),
            state: ServiceState::Running,
            reason: None,
            generation: Some(2),
            release: Some("/srv/shop".into()),
            slots: vec![Slot {
                slot: 0,
                state: SlotState::Ready,
                restarts: 1,
                next_try_ms: None,
                last_exit: Some(last_exit),
                workers: vec![worker],
                renewal: Some(Renewal {
                    worker: 5,
                    reason: "is over its memory limit".into(),
                    waits_for: Some("the next try".into()),
                    next_try_ms: Some(400),
                    failure: Some("worker 6 exited".into()),
                }),
            }],
            listeners: vec![Listener {
                address: "[::]:8080".into(),
                kind: ListenerKind::Tcp,
                balance: "kernel".into(),
                dealing: Some(Dealing::Kernel),
                weights: Some(vec![50, 50]),
                queued: Some(0),
                covering: vec![1],
            }],
            rollout: Some(Rollout {
                generation: 2,
                cause: Some(Cause::Command),
                outcome: Some(Outcome::RolledBack),
                phase: None,
                slot: Some(1),
                of: Some(2),
                reason: Some("worker 6 exited".into()),
                paused: None,
                waits_for: None,
                runs: Some(vec![Runs { generation: 1, slots: vec![0, 1] }]),
                duration_ms: Some(740),
                handed_over: Some(8),
                closed_idle: Some(0),
                not_zero: Some(1),
                not_movable: Some(BTreeMap::from([("tls".into(), 3)])),
                cut,
            }),
            next_reload_at: Some("2026-11-28T04:30:00+01:00".into()),
            totals: Some(Totals { handed_over: Some(9), closed_idle: Some(2), cut }),
        }
    }

    #[test]
    fn the_shape_is_a_contract() {
        let expected = concat!(
            r#"{"schema":1,"name":"shop","pid":900,"version":"0.1.0","state":"running","#,
            r#""reason":null,"generation":2,"release":"/srv/shop","#,
            r#""slots":[{"slot":0,"state":"ready","restarts":1,"next_try_ms":null,"#,
            r#""last_exit":{"code":null,"signal":"SIGKILL","oom":true,"ago_ms":9000},"#,
            r#""workers":[{"id":5,"pid":902,"generation":2,"release":"/srv/shop/releases/7","state":"ready","uptime_ms":61000,"#,
            r#""rss_bytes":47185920,"cpu_percent":2.5,"connections":3,"requests":1200,"#,
            r#""active_requests":1,"loop_lag_ms":0.25,"status":"warming up"}],"#,
            r#""renewal":{"worker":5,"reason":"is over its memory limit","#,
            r#""waits_for":"the next try","next_try_ms":400,"failure":"worker 6 exited"}}],"#,
            r#""listeners":[{"address":"[::]:8080","kind":"tcp","balance":"kernel","#,
            r#""dealing":"kernel","weights":[50,50],"queued":0,"covering":[1]}],"#,
            r#""rollout":{"generation":2,"cause":"command","outcome":"rolled_back","phase":null,"slot":1,"of":2,"#,
            r#""reason":"worker 6 exited","paused":null,"waits_for":null,"#,
            r#""runs":[{"generation":1,"slots":[0,1]}],"#,
            r#""duration_ms":740,"handed_over":8,"closed_idle":0,"#,
            r#""not_zero":1,"not_movable":{"tls":3},"cut":{"request":0,"upload":0,"event_stream":1,"#,
            r#""websocket":2,"idle_tls":0,"unknown":0}},"next_reload_at":"2026-11-28T04:30:00+01:00","totals":{"handed_over":9,"closed_idle":2,"#,
            r#""cut":{"request":0,"upload":0,"event_stream":1,"#,
            r#""websocket":2,"idle_tls":0,"unknown":0}}}"#,
        );
        assert_eq!(serde_json::to_string(&full()).unwrap(), expected);
        assert_eq!(serde_json::from_str::<Status>(expected).unwrap(), full());
    }

    #[test]
    fn what_is_not_known_is_null_and_never_left_out() {
        let rollout = Rollout {
            generation: 1,
            cause: None,
            outcome: None,
            phase: Some(Phase::Starting),
            slot: None,
            of: None,
            reason: None,
            paused: None,
            waits_for: None,
            runs: None,
            duration_ms: None,
            handed_over: None,
            closed_idle: None,
            not_zero: None,
            not_movable: None,
            cut: Cut::default(),
        };
        let text = serde_json::to_string(&rollout).unwrap();
        assert_eq!(text.matches("null").count(), 19, "{text}");
        assert_eq!(serde_json::from_str::<Rollout>(&text).unwrap(), rollout);
    }

    #[test]
    fn a_client_takes_a_status_with_more_or_fewer_nullable_fields() {
        let text = serde_json::to_string(&full()).unwrap();
        let more = text.replacen("\"pid\"", "\"new\":{\"a\":[1]},\"pid\"", 1);
        assert_eq!(serde_json::from_str::<Status>(&more).unwrap(), full());
        let fewer = text.replacen("\"reason\":null,", "", 1);
        assert_eq!(serde_json::from_str::<Status>(&fewer).unwrap(), full());
    }

    #[test]
    fn words_are_those_of_the_json() {
        #[track_caller]
        fn check<T: Serialize + std::fmt::Display>(values: &[T], words: &str) {
            let printed: Vec<String> = values.iter().map(ToString::to_string).collect();
            assert_eq!(printed.join(" "), words);
            let json = serde_json::to_value(values).unwrap();
            assert_eq!(json, serde_json::json!(printed));
        }
        use ServiceState as S;
        check(
            &[S::Starting, S::Running, S::Reloading, S::Degraded, S::Down, S::Stopping],
            "starting running reloading degraded down stopping",
        );
        check(
            &[
                SlotState::Ready,
                SlotState::Vacant,
                SlotState::BackingOff,
                SlotState::Hung,
                SlotState::Ended,
            ],
            "ready vacant backing_off hung ended",
        );
        use WorkerState as W;
        check(
            &[W::Starting, W::Standby, W::Ready, W::Draining, W::Lingering, W::Parked, W::Stopping],
            "starting standby ready draining lingering parked stopping",
        );
        check(
            &[Outcome::Succeeded, Outcome::Failed, Outcome::RolledBack, Outcome::Aborted],
            "succeeded failed rolled_back aborted",
        );
        check(
            &[Phase::Starting, Phase::Loaded, Phase::Probation, Phase::Draining, Phase::Undoing],
            "starting loaded probation draining undoing",
        );
        check(
            &[Dealing::Front, Dealing::Kernel, Dealing::Primary, Dealing::Shared],
            "front kernel primary shared",
        );
        check(
            &[Cause::Command, Cause::Signal, Cause::Watch, Cause::Terminal, Cause::Schedule],
            "command signal watch terminal schedule",
        );
        check(&[ListenerKind::Tcp, ListenerKind::Udp, ListenerKind::Unix], "tcp udp unix");
    }

    #[test]
    fn the_largest_status_fits_a_reply() {
        let mut status = full();
        let mut slot = status.slots.remove(0);
        let worker = slot.workers[0].clone();
        slot.workers.push(worker);
        status.slots = vec![slot; 1024];
        let length = serde_json::to_vec(&status).unwrap().len();
        assert!(length > crate::protocol::MAX_LINE);
        assert!(length < crate::protocol::MAX_REPLY_LINE / 4, "{length}");
    }
}
