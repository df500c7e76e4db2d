//! Workers that leave by themselves, in each way that Node has.

use crate::support::client::{Lost, Response, get};
use crate::support::fixture;
use crate::support::load::Load;
use crate::support::ports::port;
use crate::support::service::{Service, Setup};

const MAJORS: [u32; 3] = [18, 22, 26];

fn leaver(major: u32, port: u16, balance: &str) -> Service {
    let options = format!("-w 2 --balance {balance}");
    Setup::new(major, fixture("leaver.js")).options(&options).env("PORT", port).start()
}

fn tell(port: u16, path: &str) -> u64 {
    let answer: Response = get(port, path).expect("the answer comes before it leaves");
    answer.json()["pid"].as_u64().expect("a pid")
}

fn position(service: &Service, text: &str) -> usize {
    let lines = service.lines();
    let found = lines.iter().position(|line| line.contains(text));
    found.unwrap_or_else(|| panic!("no `{text}` in {lines:#?}"))
}

/// It is answered when its successor is ready, and ends with 0.
fn assert_replaced_first(service: &Service, pid: u64, what: &str) {
    service.wait_for_line(&format!("(pid {pid}) gone (exited with code 0)"));
    service.wait_until_calm();
    let wished = position(service, &format!("(pid {pid}) wants to leave"));
    let lines = service.lines();
    let ready = lines.iter().skip(wished).position(|line| line.contains("ready after"));
    let gone = position(service, &format!("(pid {pid}) gone"));
    assert!(ready.is_some_and(|after| wished + after < gone), "{what}: {}", service.log());
    assert_eq!(service.worker_pids().len(), 2);
}

#[test]
fn worker_disconnect_is_answered_when_the_successor_is_ready_and_loses_nothing() {
    for major in MAJORS {
        for balance in ["auto", "kernel", "round-robin"] {
            let what = format!("node {major}, {balance}");
            let port = port();
            let service = leaver(major, port, balance);
            let load = Load::new().connection_per_request(2, port, "/");
            let pid = tell(port, "/worker-disconnect");
            assert_replaced_first(&service, pid, &what);
            let account = load.stop();
            println!("{what}: {account:?}");
            // The app closes its server, and Node 26 then closes connections that it has accepted
            // and whose request it has not read (`docs/drain.md`, "accepted, nothing sent yet").
            if major == 26 {
                let by_node = account.lost.keys().all(|l| matches!(l, Lost::Reset | Lost::Closed));
                assert!(by_node, "{account:#?}");
            } else {
                account.assert_nothing_lost();
            }
        }
    }
}

/// Node ends such a worker with its connections when it is let go; until then it serves.
#[test]
fn worker_kill_is_answered_when_the_successor_is_ready() {
    for major in MAJORS {
        let port = port();
        let service = leaver(major, port, "kernel");
        let pid = tell(port, "/worker-kill");
        assert_replaced_first(&service, pid, &format!("node {major}"));
        assert_eq!(get(port, "/").map(|response| response.status), Ok(200));
    }
}

/// Node ends a worker that closes its channel at once: to Relevo that is a crash with code 0.
#[test]
fn process_disconnect_is_followed_by_a_replacement() {
    for major in MAJORS {
        let port = port();
        let service = leaver(major, port, "kernel");
        let pid = tell(port, "/process-disconnect");
        let line = service.wait_for_line(&format!("(pid {pid}) exited with code 0"));
        assert!(line.ends_with("; starting another now"), "{line}");
        for _ in 0..20 {
            assert_eq!(get(port, "/").map(|response| response.status), Ok(200), "node {major}");
        }
        service.wait_until_calm();
        assert_eq!(service.worker_pids().len(), 2);
    }
}

/// A worker that closes its server and lives on: the others serve its slot, nothing is replaced.
#[test]
fn a_server_that_the_app_closes_is_covered_by_the_others() {
    let port = port();
    let service = leaver(22, port, "kernel");
    let pid = tell(port, "/server-close");
    service.wait_for_line(&format!("leaver {pid}: server closed"));
    let status = service.wait_for_status("covering", |status| {
        status["listeners"][0]["covering"].as_array().is_some_and(|slots| slots.len() == 1)
    });
    for _ in 0..20 {
        let answer = get(port, "/").unwrap_or_else(|lost| panic!("{lost:?}: {status}"));
        assert_ne!(answer.json()["pid"], pid);
    }
}
