use super::*;

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

#[track_caller]
fn check(
    given: Option<&str>,
    running: &[&str],
    package: Option<&str>,
    expected: Result<&str, (u8, &str)>,
) {
    let running: Vec<ServiceName> = running.iter().copied().map(name).collect();
    let places = [PathBuf::from("/run/a"), PathBuf::from("/tmp/b")];
    let (given, package) = (given.map(name), package.map(name));
    let chosen = choose(given.as_ref(), &running, package.as_ref(), &places);
    let chosen = chosen.map_err(|failure| (failure.code.code(), failure.reason));
    match (&chosen, expected) {
        (Ok(chosen), Ok(expected)) => assert_eq!(chosen.as_str(), expected),
        (Err((code, reason)), Err(expected)) => assert_eq!((*code, reason.as_str()), expected),
        (chosen, expected) => panic!("{chosen:?} instead of {expected:?}"),
    }
}

#[test]
fn a_given_name_must_run() {
    check(Some("web"), &["api", "web"], None, Ok("web"));
    check(
        Some("web"),
        &["api", "job"],
        Some("api"),
        Err((3, "no service `web` runs; those that do are `api`, `job`")),
    );
    check(Some("web"), &["api"], None, Err((3, "no service `web` runs; one that does is `api`")));
    check(
        Some("web"),
        &[],
        None,
        Err((3, "no service `web` runs; no other does, either: start it by `relevo run`")),
    );
}

#[test]
fn without_a_name_it_must_be_plain_which_one_is_meant() {
    check(None, &["api"], Some("web"), Ok("api"));
    check(None, &["api", "web"], Some("web"), Ok("web"));
    let ambiguous = Err((2, "2 services run: name one of `api`, `web`"));
    check(None, &["api", "web"], Some("job"), ambiguous);
    check(None, &["api", "web"], None, ambiguous);
    let none = "no service runs: start one, as in `relevo run app.js`";
    check(None, &[], Some("web"), Err((3, none)));
}

#[test]
fn an_error_says_where_was_looked() {
    let failure = choose(Some(&name("web")), &[], None, &[PathBuf::from("/run/a"), "/b".into()]);
    assert!(failure.unwrap_err().detail[0].ends_with("in /run/a, /b"));
}

#[test]
fn locks_are_read_from_the_kernels_table() {
    let table = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 12345 @relevo/1000/web
0000000000000000: 00000003 00000000 00000000 0001 03 12346 @relevo/1000/web
0000000000000000: 00000002 00000000 00010000 0001 01 12347 @relevo/1000/a.b
0000000000000000: 00000002 00000000 00010000 0001 01 12348 @relevo/10/other
0000000000000000: 00000002 00000000 00010000 0001 01 12349 @relevo/1000/
0000000000000000: 00000002 00000000 00010000 0001 01 12350 @relevo/1000/x/y
0000000000000000: 00000002 00000000 00010000 0001 01 12351 /relevo/1000/path
0000000000000000: 00000002 00000000 00010000 0001 01 12352
";
    let names: Vec<String> = locked_names(table, 1000).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a.b", "web"]);
}

#[test]
fn a_lock_that_is_held_is_a_service_that_runs_however_often_one_asks() {
    let name = name(&format!("cli-services-test-{}", std::process::id()));
    assert!(find(&name).is_none());
    let lock = lock_name(effective_uid(), &name);
    let guard = relevo_sys::lock::take_lock(lock.as_bytes()).unwrap();
    let us = std::process::id();
    let first = find(&name).unwrap();
    assert_eq!(first, Service::stand_in(name.as_str(), Some(us), Vec::new()));
    for _ in 0..20 {
        assert_eq!(find(&name).unwrap().pid(), Some(us));
    }
    assert!(all().iter().any(|service| service.name == name));
    assert!(!first.is_gone(Some(us)));
    drop(guard);
    assert!(first.is_gone(Some(us)));
    assert!(all().iter().all(|service| service.name != name));
}

#[test]
fn a_package_that_cannot_be_read_names_nothing() {
    let directory = std::env::temp_dir().join(format!("relevo-package-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("package.json");
    assert_eq!(package_name(&path), None);
    fs::write(&path, r#"{"name":"@acme/web"}"#).unwrap();
    assert_eq!(package_name(&path), Some(name("web")));
    for text in ["", "{", r#"{"name":5}"#, r#"{"name":"@acme/"}"#] {
        fs::write(&path, text).unwrap();
        assert_eq!(package_name(&path), None, "{text}");
    }
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_place_of_the_users_session_is_searched_without_its_variable_too() {
    let places = places();
    let session = PathBuf::from(format!("/run/user/{}/relevo", effective_uid()));
    assert_eq!(places.iter().filter(|place| **place == session).count(), 1);
}
