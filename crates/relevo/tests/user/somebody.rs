//! A service of root's whose workers are nobody's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use serde_json::Value;

use crate::support::TempDir;
use crate::support::client::get;
use crate::support::place::Place;
use crate::support::ports::port;
use crate::support::service::Service;

fn body(port: u16, path: &str) -> String {
    let response = get(port, path).expect("an answer");
    String::from_utf8(response.body).expect("text")
}

fn look(port: u16) -> Value {
    serde_json::from_str(&body(port, "/")).expect("JSON")
}

/// The agent's directory lies beside the runtime directory, where users can read it.
fn agents(service: &Service) -> PathBuf {
    let runtime = service.runtime.path();
    let name = runtime.file_name().expect("a name").to_string_lossy().into_owned();
    runtime.with_file_name(format!("{name}-agent"))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

fn is_root() -> bool {
    geteuid().is_root()
}

#[test]
fn workers_have_its_rights_and_no_more() {
    if !is_root() {
        return;
    }
    let (place, port) = (Place::new("identity.js"), port());
    let setup = place.service(port, "-w 2 --user nobody");
    let service = setup.option_of("--hook-success", "id -u; cat /proc/self/status").start();
    let me = look(port);
    assert_eq!(
        (&me["uid"], &me["euid"], &me["gid"]),
        (&65534.into(), &65534.into(), &65534.into())
    );
    assert_eq!(me["groups"], serde_json::json!([65534]), "{me}");
    assert_eq!(me["noNewPrivs"], "1", "{me}");
    assert_eq!((&me["user"], &me["logname"]), (&"nobody".into(), &"nobody".into()), "{me}");
    assert_eq!(me["home"], "/nonexistent", "{me}");
    assert_eq!(me["shell"], "/usr/sbin/nologin", "{me}");
    assert_eq!(me["cwd"], place.path().display().to_string(), "{me}");
    let limits = fs::read_to_string("/proc/self/limits").expect("our own limits");
    let ours = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let ours: Vec<&str> = ours.split_whitespace().skip(3).take(2).collect();
    assert_eq!(me["nofile"], serde_json::json!(ours), "limits are as without --user");

    // The agent is there: a drain without it would say so, and this is where it came from.
    let agents = agents(&service);
    assert_eq!(mode(&agents), 0o755);
    let files: Vec<_> = fs::read_dir(&agents).expect("a directory").flatten().collect();
    assert_eq!(files.len(), 1);
    assert_eq!(mode(&files[0].path()), 0o444);
    service.reload();
    service.wait_for_line("hook-success: 65534");
    service.wait_for_line("hook-success: NoNewPrivs:\t1");
    let status = service.wait_until_calm();
    assert!(!status["slots"][0]["workers"][0]["connections"].is_null(), "no agent: {status}");
    assert_eq!(look(port)["uid"], 65534);

    assert_eq!(body(port, "/stdout"), "written");
    service.wait_for_line("by its path");
    let _ = fs::remove_dir_all(agents);
}

#[test]
fn they_cannot_command_the_service() {
    if !is_root() {
        return;
    }
    let (place, port) = (Place::new("identity.js"), port());
    let control = place.path().join("control");
    let service =
        place.service(port, "-w 1 --user nobody").env("CONTROL", control.display()).start();
    let socket = service.runtime.path().join(&service.name).join("control.sock");
    std::os::unix::fs::symlink(socket, &control).expect("a link to the control socket");
    assert_eq!(body(port, "/control"), "EACCES");
    let _ = fs::remove_dir_all(agents(&service));
}

#[test]
fn a_group_of_its_own_and_variables_that_are_said_win() {
    if !is_root() {
        return;
    }
    let (place, port) = (Place::new("identity.js"), port());
    let options = "-w 1 --user nobody --group daemon --env HOME=/home/of/nobody";
    let service = place.service(port, options).start();
    let me = look(port);
    assert_eq!((&me["uid"], &me["gid"]), (&65534.into(), &1.into()), "{me}");
    assert_eq!(me["home"], "/home/of/nobody", "{me}");
    let _ = fs::remove_dir_all(agents(&service));
}

#[test]
fn a_directory_that_it_may_not_enter_is_named() {
    if !is_root() {
        return;
    }
    let (place, secret) = (Place::new("identity.js"), TempDir::new("secret"));
    fs::set_permissions(secret.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
    let options = format!("-w 1 --user nobody --cwd {}", secret.path().display());
    let output = place.service(port(), &options).run();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    let named =
        format!("the user nobody may not enter the workers' directory {}", secret.path().display());
    assert!(words.contains(&named) && words.contains("--cwd"), "{words}");
}
