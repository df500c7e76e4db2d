//! A connection that was moved lives exactly as long as it would have lived.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::support::nodes::MAJORS;
use crate::support::ports::port;
use crate::{idle, keeps};

#[test]
fn its_keep_alive_time_goes_on() {
    for major in MAJORS {
        let port = port();
        let service = keeps(major, port, "-w 1 --probation 0s").env("KEEPALIVE_MS", 3000).start();
        let answered = Instant::now();
        let mut connection = idle(port, 1).remove(0);
        std::thread::sleep(Duration::from_millis(2000));
        assert_eq!(service.reload()["handed_over"], 1, "node {major}");
        let mut rest = Vec::new();
        let end = connection.stream.read_to_end(&mut rest);
        let lived = answered.elapsed();
        assert!(end.is_ok() && rest.is_empty(), "node {major}: {end:?} {rest:?}");
        // Since 20, Node waits a second longer than it says. Begun anew it would be 5 s at least.
        let range = Duration::from_millis(2900)..Duration::from_millis(4900);
        assert!(range.contains(&lived), "node {major}: closed after {lived:?}\n{}", service.log());
    }
}

#[test]
fn it_is_not_asked_to_hurry_as_a_new_one_would_be() {
    for major in MAJORS {
        let port = port();
        let service = keeps(major, port, "-w 1").env("HEADERS_MS", 1000).start();
        let mut connection = idle(port, 1).remove(0);
        assert_eq!(service.reload()["handed_over"], 1, "node {major}");
        // Longer than headersTimeout, which Node looks at every 30 s unless told otherwise.
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!connection.is_closed(), "node {major}");
        let answer = connection.get("/").unwrap_or_else(|lost| panic!("node {major}: {lost:?}"));
        assert_eq!((answer.status, answer.json()["generation"].as_u64()), (200, Some(2)));
    }
}

#[test]
fn its_requests_count_on() {
    for major in MAJORS {
        let port = port();
        let service = keeps(major, port, "-w 1").env("MAX_REQUESTS", 4).start();
        let mut connection = idle(port, 1).remove(0);
        assert!(!connection.get("/").expect("an answer").says_close(), "node {major}");
        assert_eq!(service.reload()["handed_over"], 1, "node {major}");
        assert!(!connection.get("/").expect("an answer").says_close(), "node {major}");
        let last = connection.get("/").expect("an answer");
        assert!(last.says_close(), "node {major}: {:?}", last.headers);
    }
}
