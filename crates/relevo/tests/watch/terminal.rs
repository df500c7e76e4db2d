//! Ctrl-R, on a real terminal; and that the terminal is given back.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::write;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, tcgetattr};

use crate::support::ports::port;
use crate::support::service::{Service, signal_process};
use crate::support::{TempDir, eventually};
use crate::{answers, app, says, settles_at, watched};

/// A terminal: the end with the keyboard, and the program's.
struct Pty {
    keyboard: OwnedFd,
    terminal: OwnedFd,
}

impl Pty {
    fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let keyboard = openpt(flags).expect("a pseudoterminal");
        grantpt(&keyboard).expect("granted");
        unlockpt(&keyboard).expect("unlocked");
        let name = ptsname(&keyboard, Vec::new()).expect("its name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = open(&name, flags, Mode::empty()).expect("its other end");
        Self { keyboard, terminal }
    }

    fn press(&self, key: u8) {
        assert_eq!(write(&self.keyboard, &[key]), Ok(1));
    }

    fn modes(&self) -> Termios {
        tcgetattr(&self.terminal).expect("its modes")
    }

    /// Whether a shell would find it as it was.
    fn is_as_it_was(&self, before: &Termios) -> bool {
        let now = self.modes();
        now.local_modes == before.local_modes
            && now.input_modes == before.input_modes
            && now.output_modes == before.output_modes
            && format!("{:?}", now.special_codes) == format!("{:?}", before.special_codes)
    }

    /// Waits until single keys are heard, or lines are.
    fn wait_for_keys(&self, single: bool) {
        eventually("other modes", || {
            let modes = self.modes().local_modes;
            let is_single =
                !modes.contains(LocalModes::ICANON) && !modes.contains(LocalModes::ECHO);
            if is_single == single { Ok(()) } else { Err(modes) }
        });
    }
}

/// A service whose controlling terminal it is, in the foreground.
fn on_terminal(app: &TempDir, port: u16, pty: &Pty) -> Service {
    let stdin = pty.terminal.try_clone().expect("a duplicate");
    watched(app.path(), port).through(&["setsid", "--ctty"]).stdin(stdin).start()
}

fn state_of(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
    let rest = stat.rsplit_once(") ").expect("proc(5)").1;
    rest.chars().next().expect("a letter")
}

#[test]
fn ctrl_r_reloads_and_ctrl_c_stops_and_gives_the_terminal_back() {
    let (app, port, pty) = (app(), port(), Pty::new());
    let before = pty.modes();
    let mut service = on_terminal(&app, port, &pty);
    assert_eq!(service.count_lines("Ctrl-R reloads, Ctrl-C stops"), 1, "{}", service.log());
    pty.wait_for_keys(true);
    for pid in service.worker_pids() {
        let stdin = fs::read_link(format!("/proc/{pid}/fd/0")).expect("it has one");
        assert!(!stdin.starts_with("/dev/pts"), "{stdin:?}");
    }
    says(app.path(), "2");
    pty.press(b'x');
    pty.press(0x12);
    answers(port, "2");
    let rollout = settles_at(&service, 2);
    assert_eq!(rollout["cause"], "terminal");
    service.wait_for_line("relevo: Ctrl-R: reload");
    pty.press(0x03);
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    assert!(pty.is_as_it_was(&before), "{:?}", pty.modes());
}

#[test]
fn ctrl_z_gives_it_back_and_fg_takes_it_again() {
    let (app, port, pty) = (app(), port(), Pty::new());
    let before = pty.modes();
    let mut service = on_terminal(&app, port, &pty);
    for _ in 0..2 {
        pty.wait_for_keys(true);
        pty.press(0x1a);
        eventually("a stop", || match state_of(service.pid()) {
            'T' => Ok(()),
            other => Err(other),
        });
        assert!(pty.is_as_it_was(&before), "{:?}", pty.modes());
        service.signal(Signal::CONT);
        pty.wait_for_keys(true);
    }
    says(app.path(), "2");
    pty.press(0x12);
    answers(port, "2");
    assert_eq!(service.count_lines("Ctrl-R reloads, Ctrl-C stops"), 1, "{}", service.log());
    service.signal(Signal::TERM);
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    assert!(pty.is_as_it_was(&before), "{:?}", pty.modes());
}

#[test]
fn an_end_at_once_gives_it_back() {
    let (app, port, pty) = (app(), port(), Pty::new());
    let before = pty.modes();
    let mut service = on_terminal(&app, port, &pty);
    pty.wait_for_keys(true);
    // Ctrl-\ makes SIGQUIT.
    pty.press(0x1c);
    service.wait();
    assert!(pty.is_as_it_was(&before), "{:?}", pty.modes());
}

/// A terminal that is not the controlling one, or not in whose foreground it runs, is somebody else's.
#[test]
fn a_terminal_of_somebody_else_is_not_touched() {
    let (app, port, pty) = (app(), port(), Pty::new());
    let before = pty.modes();
    let stdin = pty.terminal.try_clone().expect("a duplicate");
    let service = watched(app.path(), port).through(&["setsid"]).stdin(stdin).start();
    pty.press(0x12);
    signal_process(service.pid(), Signal::USR2);
    settles_at(&service, 2);
    assert!(pty.is_as_it_was(&before), "{:?}", pty.modes());
    assert_eq!(service.count_lines("Ctrl-R"), 0, "{}", service.log());
    let (status, _) = service.stop();
    assert_eq!(status.code(), Some(0));
    assert!(pty.is_as_it_was(&before), "{:?}", pty.modes());
}
