//! What disturbances do to a trial.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use relevo_prove::{Disturb, Done, Tell, prove};

use crate::server::{Reply, ok, plan, run, serve};

/// Makes a server bad for a while.
struct Spoil {
    is_bad: Arc<AtomicBool>,
    succeeds: bool,
}

impl Disturb for Spoil {
    fn name(&self) -> String {
        "spoil".to_owned()
    }

    fn disturb(&mut self, tell: &Tell) -> Done {
        self.is_bad.store(true, Ordering::Relaxed);
        tell.step();
        // For so long is the server bad.
        std::thread::sleep(Duration::from_millis(200));
        self.is_bad.store(false, Ordering::Relaxed);
        Done { succeeded: self.succeeds, said: "spoilt".to_owned() }
    }
}

fn spoilt(reply: Reply, succeeds: bool) -> (std::net::SocketAddr, Box<Spoil>) {
    let is_bad = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_bad);
    let address = serve(move |_| match seen.load(Ordering::Relaxed) {
        true => reply.clone(),
        false => Reply::Bytes(ok("hello")),
    });
    (address, Box::new(Spoil { is_bad, succeeds }))
}

#[test]
fn losses_are_laid_to_the_disturbance_that_they_came_with() {
    let (address, disturb) = spoilt(Reply::Reset, true);
    let mut wish = plan(address, "keep-alive=8");
    wish.schedule.disturbances = 2;
    // They have spoken once by then, and pause for 2 s on average: without a pulse hardly one of them
    // would speak while the server is bad.
    wish.schedule.pause = Duration::from_millis(1200);
    wish.think = Duration::from_secs(3);
    let report = run(wish, Some(disturb)).unwrap();
    assert_eq!(report.disturbances.len(), 2);
    for one in &report.disturbances {
        assert!(one.succeeded && one.duration_ms >= 200, "{one:?}");
    }
    // One of eight does not heed the pulse; whoever lost something is not back by the second.
    assert!(report.disturbances[0].lost >= 4, "{report:#?}");
    let lost: u64 = report.disturbances.iter().map(|one| one.lost).sum();
    assert_eq!(lost, report.requests.lost());
    assert!(report.lost.iter().all(|lost| lost.disturbance.is_some()), "{:#?}", report.lost);
}

#[test]
fn a_disturbance_that_fails_fails_the_trial() {
    let (address, disturb) = spoilt(Reply::Bytes(ok("hello")), false);
    let mut wish = plan(address, "keep-alive=2");
    wish.schedule.disturbances = 1;
    let report = run(wish, Some(disturb)).unwrap();
    assert!(!report.passed && report.requests.lost() == 0, "{report:#?}");
    assert_eq!(report.verdict, "nothing was lost, but disturbance 1 failed: spoilt");
}

#[test]
fn a_trial_that_is_ended_early_says_so() {
    let address = serve(|_| Reply::Bytes(ok("hello")));
    let mut wish = plan(address, "keep-alive=2");
    wish.schedule.at_least = Duration::from_secs(3600);
    let report = prove(wish, None, &mut |glance| match glance.requests.answered {
        0..20 => ControlFlow::Continue(()),
        20.. => ControlFlow::Break(()),
    });
    let report = report.unwrap();
    assert!(!report.passed && report.verdict.starts_with("ended early"), "{}", report.verdict);
    assert_eq!(report.requests.begun, report.requests.ended());
}
