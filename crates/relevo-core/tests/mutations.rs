//! The tests themselves are tested: each of these mistakes, made in a copy of this crate, must be
//! noticed. It takes a few minutes. To see which tests notice which mistake (the simulation is asked only
//! about those that no unit test notices):
//!
//! ```text
//! cargo test -p relevo-core --test mutations -- --nocapture
//! RELEVO_MUTATION=spare cargo test -p relevo-core --test mutations -- --nocapture
//! ```
//!
//! The second tries only those whose mistake has that word.
//!
//! A mistake whose place is not found exactly once fails too: the list below follows the code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Mutation {
    /// What goes wrong.
    mistake: &'static str,
    file: &'static str,
    /// What is there, and what stands there instead.
    from: &'static str,
    to: &'static str,
}

const MUTATIONS: &[Mutation] = &[
    Mutation {
        mistake: "a refused connection is not dealt again",
        file: "dealer/mod.rs",
        from: "self.note_refusal(connection, worker);\n        self.wait_again(connection);",
        to: "self.note_refusal(connection, worker);",
    },
    Mutation {
        mistake: "a dead worker's connections are not dealt again",
        file: "dealer/mod.rs",
        from: "                held.with = None;\n            }\n            self.wait_again(connection);",
        to: "                held.with = None;\n            }",
    },
    Mutation {
        mistake: "a worker gives away what nobody asked for",
        file: "dealer/handover.rs",
        from: "known.filter(|known| known.credit > 0)",
        to: "known.filter(|known| known.credit < u32::MAX)",
    },
    Mutation {
        mistake: "what nobody takes is forgotten",
        file: "dealer/handover.rs",
        from: "self.actions.push(DealerAction::GiveBack { connection, worker: origin.donor });",
        to: "let _ = origin;",
    },
    Mutation {
        mistake: "a connection goes back to who gave it away",
        file: "dealer/handover.rs",
        from: "*id == origin.donor || origin.tried.contains(id)",
        to: "origin.tried.contains(id)",
    },
    Mutation {
        mistake: "a dead donor is given its connections back",
        file: "dealer/handover.rs",
        from: "self.donors.gone(worker);\n        for (connection, held) in &mut self.held {",
        to: "for (connection, held) in std::iter::empty::<(&ConnectionId, &mut Held)>() {",
    },
    Mutation {
        mistake: "a worker gets any number of connections at once",
        file: "dealer/hand.rs",
        from: "self.in_flight.len() < WINDOW",
        to: "self.in_flight.len() < usize::MAX",
    },
    Mutation {
        mistake: "a blocked worker gets more",
        file: "dealer/hand.rs",
        from: "hand.owes_for(self.now) >= limit || self.blocked.contains(id)",
        to: "limit == Duration::ZERO || self.blocked.contains(id)",
    },
    Mutation {
        mistake: "a vacant slot keeps its weight",
        file: "dealer/steering/group.rs",
        from: "let gets = serves && !self.blocked.contains(slot);",
        to: "let gets = (serves || true) && !self.blocked.contains(slot);",
    },
    Mutation {
        mistake: "dealing goes to and fro",
        file: "dealer/steering/group.rs",
        from: "self.rate.is_low_enough_to_deal(1.0 / f64::from(SAMPLE))",
        to: "true",
    },
    Mutation {
        mistake: "a socket that was shut down is tried over and over",
        file: "dealer/mod.rs",
        from: "self.steering.failed(member);",
        to: "",
    },
    Mutation {
        mistake: "a foreign program is not replaced",
        file: "dealer/steering/group.rs",
        from: "self.disturbed(Disturbance::Shares, now, actions);",
        to: "",
    },
    Mutation {
        mistake: "what comes back for a closed listener waits for ever",
        file: "dealer/mod.rs",
        from: "self.closed.insert(member.listener);",
        to: "",
    },
    Mutation {
        mistake: "the old worker drains before the new one is ready",
        file: "supervisor/rollouts.rs",
        from: "self.report_progress(slot, Step::Started(id));",
        to: "if let Some(old) = self.slot_mut(slot).current.take() { self.retire(old); }",
    },
    Mutation {
        mistake: "a worker is told to disconnect twice",
        file: "supervisor/lifecycle.rs",
        from: "Stage::Draining(drain) => drain.disconnect == Disconnect::Sent,",
        to: "Stage::Draining(_) => false,",
    },
    Mutation {
        mistake: "a slot is not covered after a crash",
        file: "supervisor/listeners.rs",
        from: "(Arrangement::Group, Seat::Slot(slot)) => {",
        to: "(Arrangement::Group, Seat::Slot(slot)) if self.slot(slot).serves.contains(&id) => false,
             (Arrangement::Group, Seat::Slot(slot)) => {",
    },
    Mutation {
        mistake: "a slot is not covered after its worker has stopped accepting",
        file: "worker.rs",
        from: "self.channel_ended.is_none() && !self.stopped_accepting",
        to: "self.channel_ended.is_none()",
    },
    Mutation {
        mistake: "who joined a reload gets no reply",
        file: "supervisor/record.rs",
        from: "self.reload_waiters.extend(request);",
        to: "if self.rollout.is_none() { self.reload_waiters.extend(request); }",
    },
    Mutation {
        mistake: "a joined reload waits for an event that may not come",
        file: "supervisor/reconcile.rs",
        from: "if self.actions.len() == before {",
        to: "if self.actions.len() >= before {",
    },
    Mutation {
        mistake: "the delays between crashes never grow",
        file: "backoff.rs",
        from: "self.in_a_row = self.in_a_row.saturating_add(1);",
        to: "self.in_a_row = 1;",
    },
    Mutation {
        mistake: "a stop closes the sockets before their queues are empty",
        file: "supervisor/stop.rs",
        from: "self.act(Action::EmptyQueues);",
        to: "self.close_all_sockets(); self.act(Action::EmptyQueues);",
    },
    Mutation {
        mistake: "a stop gives up before it has killed",
        file: "supervisor/stop.rs",
        from: "stop.give_up_at = stop.give_up_at.max(until);",
        to: "let _ = (stop, until);",
    },
    Mutation {
        mistake: "a listener closes while a slot serves it",
        file: "supervisor/listeners.rs",
        from: "!served && !held",
        to: "!held || (served && false)",
    },
    Mutation {
        mistake: "a failed rollout goes on to the next slot",
        file: "supervisor/undo.rs",
        from: "self.begin_undo(Outcome::Failed { worker: id, failure });",
        to: "match &mut self.rollout {
                 Some(rollout) if rollout.next.0 < self.spec.slots => rollout.begun.clear(),
                 _ => self.begin_undo(Outcome::Failed { worker: id, failure }),
             }",
    },
    Mutation {
        mistake: "the others follow although the first new worker has not proved itself",
        file: "supervisor/rollouts.rs",
        from: "if !rollout.has_proved || is_last { now + probation }",
        to: "if is_last { now + probation }",
    },
    Mutation {
        mistake: "the way back is given up although the last new worker has not proved itself",
        file: "supervisor/rollouts.rs",
        from: "if !rollout.has_proved || is_last { now + probation }",
        to: "if !rollout.has_proved { now + probation }",
    },
    Mutation {
        mistake: "a rollout that is paused goes on",
        file: "supervisor/rollouts.rs",
        from: "Phase::Replacing if rollout.paused || rollout.gate.is_some() => false,",
        to: "Phase::Replacing if (rollout.paused && false) || rollout.gate.is_some() => false,",
    },
    Mutation {
        mistake: "more new workers come at once than may",
        file: "supervisor/rollouts.rs",
        from: "if rollout.has_proved { self.surge() } else { 1 }",
        to: "if rollout.has_proved { self.surge() + 1 } else { 1 }",
    },
    Mutation {
        mistake: "the others follow before there is a verdict on the canary",
        file: "supervisor/rollouts.rs",
        from: "&& canary != Some(*slot)",
        to: "&& (canary != Some(*slot) || true)",
    },
    Mutation {
        mistake: "a canary is judged before the old workers have spoken",
        file: "supervisor/canary.rs",
        from: "watch.has_baseline(self.now) || new.errors() == 0",
        to: "true || watch.has_baseline(self.now)",
    },
    Mutation {
        mistake: "a late report of a canary takes errors back",
        file: "supervisor/canary.rs",
        from: "watch.new = watch.new.at_least(tally);",
        to: "watch.new = tally;",
    },
    Mutation {
        mistake: "what cannot be told always goes on",
        file: "supervisor/canary.rs",
        from: "verdict == Verdict::Failed || undoes",
        to: "verdict == Verdict::Failed || (undoes && false)",
    },
    Mutation {
        mistake: "an error where there was none in a thousand is compared as any other",
        file: "canary.rs",
        from: "_ if faultless => Verdict::Failed,",
        to: "_ if faultless && false => Verdict::Failed,",
    },
    Mutation {
        mistake: "a slot keeps its share after the rollout",
        file: "supervisor/canary.rs",
        from: "self.act(Action::Share { slot, percent: None });",
        to: "let _ = slot;",
    },
    Mutation {
        mistake: "a share that is dealt is not counted",
        file: "dealer/share.rs",
        from: "if to == Some(share.slot) { WHOLE } else { 0 }",
        to: "if to == Some(share.slot) { 0 } else { 0 }",
    },
    Mutation {
        mistake: "a loaded worker serves before all are loaded",
        file: "supervisor/standby.rs",
        from: "&& (all || self.slot(*slot).current.is_none())",
        to: "&& (all || true)",
    },
    Mutation {
        mistake: "a spare worker of old code takes over",
        file: "supervisor/standby.rs",
        from: "&& worker.generation == generation;",
        to: "&& generation == generation;",
    },
    Mutation {
        mistake: "a spare worker need not listen on what its predecessor did",
        file: "supervisor/standby.rs",
        from: "(worker.slot, worker.owes) = (slot, owes);",
        to: "let _ = owes; worker.slot = slot;",
    },
    Mutation {
        mistake: "whoever is parked is not told that it is called back",
        file: "supervisor/undo.rs",
        from: "self.act(Action::Unpark { worker: id });",
        to: "",
    },
    Mutation {
        mistake: "the new worker goes before the old one serves again",
        file: "supervisor/undo.rs",
        from: "self.act(Action::Unpark { worker: id });",
        to: "self.act(Action::Unpark { worker: id });
             if let Some(new) = self.slot_mut(slot).current.take() { self.retire(new); }",
    },
    Mutation {
        mistake: "a new worker may close its listeners",
        file: "supervisor/undo.rs",
        from: "let hung_up = owed && self.is_undone_by(id);",
        to: "let hung_up = owed && false && self.is_undone_by(id);",
    },
    Mutation {
        mistake: "a rollout is over before all that are called back serve",
        file: "supervisor/undo.rs",
        from: "!rollout.parked.is_empty() || self.is_renewing(rollout)",
        to: "self.is_renewing(rollout)",
    },
    Mutation {
        mistake: "a new release is on trial for ever",
        file: "supervisor/releases.rs",
        from: "trial.filter(|trial| self.now < trial.until)",
        to: "trial.filter(|trial| self.now < trial.until || true)",
    },
    Mutation {
        mistake: "a slot goes back to the same code",
        file: "supervisor/releases.rs",
        from: "to != from && !self.gone.contains(to)",
        to: "!self.gone.contains(to)",
    },
    Mutation {
        mistake: "refused code gets connections at once",
        file: "supervisor/refused.rs",
        from: "None if !others || probation.is_zero() => now,",
        to: "None if others || probation.is_zero() => now,",
    },
    Mutation {
        mistake: "whoever serves again stands beside the one that replaced it",
        file: "supervisor/undo.rs",
        from: "            self.retire(new);\n",
        to: "            let _ = new;\n",
    },
    Mutation {
        mistake: "a stop forgets who is parked",
        file: "supervisor/rollout_end.rs",
        from: "if self.workers.get(&id).is_some_and(Worker::is_parked) {",
        to: "if self.stop.is_none() && self.workers.get(&id).is_some_and(Worker::is_parked) {",
    },
    Mutation {
        mistake: "the way back is given up when only one slot is replaced",
        file: "supervisor/rollouts.rs",
        from: "rollout.begun.is_empty() && rollout.next.0 >= self.wanted;",
        to: "rollout.begun.is_empty() && rollout.next.0 >= 1;",
    },
    Mutation {
        mistake: "a new worker is ready with less than its predecessor listened on",
        file: "supervisor/readiness.rs",
        from: "self.missing_listeners(worker).next().is_some() || ",
        to: "",
    },
    Mutation {
        mistake: "a worker that has not said that it is ready is ready",
        file: "supervisor/readiness.rs",
        from: " || !worker.readiness.has_said()",
        to: "",
    },
    Mutation {
        mistake: "a rollout does not wait for the old worker's requests",
        file: "worker.rs",
        from: "!quiet && now < drain.deadline",
        to: "!quiet && now < drain.deadline && self.left.is_none()",
    },
    Mutation {
        mistake: "a worker on its way out is answered",
        file: "worker.rs",
        from: "(self.is_wanted() || self.is_parked()) && self.channel_ended.is_none()",
        to: "true",
    },
    Mutation {
        mistake: "the socket of a slot that leaves closes with its worker",
        file: "supervisor/scaling.rs",
        from: "let until = self.now + self.spec.retirement();",
        to: "let until = self.now;",
    },
    Mutation {
        mistake: "a worker that leaves with its slot is not drained",
        file: "supervisor/scaling.rs",
        from: "            self.retire(id);",
        to: "            self.kill(id);",
    },
    Mutation {
        mistake: "a rollout waits for a slot that has left",
        file: "supervisor/rollouts.rs",
        from: "        self.pass_over_left_slots();\n",
        to: "",
    },
    Mutation {
        mistake: "a new slot is ready with less than the others listen on",
        file: "supervisor/scaling.rs",
        from: "if !state.joining {",
        to: "if true {",
    },
    Mutation {
        mistake: "connections wait for ever where nobody accepts",
        file: "supervisor/outage.rs",
        from: "Some(Outage::Holding { until }) if until <= self.now => self.go_down(),",
        to: "",
    },
    Mutation {
        mistake: "who has a duplicate keeps a socket open that was to close",
        file: "supervisor/outage.rs",
        from: "            self.kill(id);\n",
        to: "",
    },
    Mutation {
        mistake: "an outage ends before a worker is ready",
        file: "supervisor/outage.rs",
        from: "if self.somebody_is_ready() => self.come_up(since),",
        to: "if accepted => self.come_up(since),",
    },
    Mutation {
        mistake: "a question told twice is answered twice",
        file: "supervisor/listeners.rs",
        from: "if worker.last_query >= Some(query) {",
        to: "if worker.last_query > Some(query) {",
    },
    Mutation {
        mistake: "a sign of life is not noticed",
        file: "supervisor/hang.rs",
        from: "(worker.pulse, worker.connections) = (Pulse::Calm, connections);",
        to: "worker.connections = connections;",
    },
    Mutation {
        mistake: "rounds count that nobody was there for",
        file: "supervisor/hang.rs",
        from: "let counts = self.now.since(due) <= interval / 2;",
        to: "let counts = true;",
    },
    Mutation {
        mistake: "idle workers are asked on and on",
        file: "supervisor/hang.rs",
        from: "can_answer(worker) && (stirred || busy(worker))",
        to: "can_answer(worker) && (stirred || busy(worker) || true)",
    },
    Mutation {
        mistake: "what a debugger has stopped is ended",
        file: "supervisor/hang.rs",
        from: "let Some(pause) = found.pause else { return self.hangs(id, since, found) };",
        to: "let Some(pause) = found.pause.filter(|_| false) else {\n            return self.hangs(id, since, found);\n        };",
    },
    Mutation {
        mistake: "an address closes that a parked worker may need again",
        file: "supervisor/listeners.rs",
        from: "!served && !held && !owed",
        to: "!served && !held",
    },
];

#[test]
fn every_mistake_is_noticed() {
    let copy = Copy::new();
    let noticed = copy.failing_tests();
    assert!(noticed.is_empty(), "without a mistake: {noticed:?}");
    let mut unnoticed = Vec::new();
    let word = std::env::var("RELEVO_MUTATION").unwrap_or_default();
    for mutation in MUTATIONS.iter().filter(|mutation| mutation.mistake.contains(&word)) {
        let right = copy.make(mutation);
        let noticed = copy.failing_tests();
        fs::write(copy.file(mutation), right).expect("the copy can be written");
        println!("{}: {} tests, {}", mutation.mistake, noticed.len(), noticed.join(", "));
        if noticed.is_empty() {
            unnoticed.push(mutation.mistake);
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

/// A copy of this crate in a workspace of its own.
struct Copy {
    root: PathBuf,
}

impl Copy {
    fn new() -> Self {
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mutations");
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workspace = own.join("../..");
        let of_crate = root.join("crates/relevo-core");
        let _absent = fs::remove_dir_all(&of_crate);
        copy_all(&own.join("src"), &of_crate.join("src"));
        copy_all(&own.join("tests/simulation"), &of_crate.join("tests/simulation"));
        copy(&own.join("Cargo.toml"), &of_crate.join("Cargo.toml"));
        for file in ["Cargo.toml", "Cargo.lock"] {
            copy(&workspace.join(file), &root.join(file));
        }
        Self { root }
    }

    fn file(&self, mutation: &Mutation) -> PathBuf {
        self.root.join("crates/relevo-core/src").join(mutation.file)
    }

    /// Makes the mistake, and gives what stood in the file before.
    fn make(&self, mutation: &Mutation) -> String {
        let right = fs::read_to_string(self.file(mutation)).expect("the mistake's file exists");
        let places = right.matches(mutation.from).count();
        assert_eq!(places, 1, "{}: {} is there {places} times", mutation.mistake, mutation.from);
        let wrong = right.replace(mutation.from, mutation.to);
        fs::write(self.file(mutation), wrong).expect("the copy can be written");
        right
    }

    /// The tests that notice something: the simulation is asked only if no unit test does.
    fn failing_tests(&self) -> Vec<String> {
        // To compile takes longer than to run the one, but not the other.
        let unoptimised = ["--config", "profile.dev.package.relevo-core.opt-level=0"];
        let noticed = self.failing(&["--lib"], &unoptimised);
        if noticed.is_empty() { self.failing(&["--test", "simulation"], &[]) } else { noticed }
    }

    /// What does not compile proves nothing, and panics here.
    fn failing(&self, tests: &[&str], settings: &[&str]) -> Vec<String> {
        let compiled = self.cargo(&[settings, tests, &["--no-run"]].concat());
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let run = self.cargo(&[settings, tests].concat());
        let output = String::from_utf8_lossy(&run.stdout);
        let failed = output
            .lines()
            .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
            .map(str::to_owned)
            .collect::<Vec<_>>();
        assert_eq!(run.status.success(), failed.is_empty(), "{output}");
        failed
    }

    fn cargo(&self, arguments: &[&str]) -> std::process::Output {
        // A mistake may also make something go on for ever.
        Command::new("timeout")
            .args([
                "300",
                env!("CARGO"),
                "test",
                "--offline",
                "--config",
                "profile.dev.debug=false",
            ])
            .args(arguments)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.root.join("target"))
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("cargo runs")
    }
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the crate can be read") {
        let entry = entry.expect("the crate can be read");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a file has a type").is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            copy(&entry.path(), &to);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let directory = to.parent().expect("a file is in a directory");
    fs::create_dir_all(directory).expect("the copy can be written");
    fs::copy(from, to).expect("the copy can be written");
}
