//! Signals: `docs/interface.md`, "Signals to the primary".

use std::fs::OpenOptions;

use relevo_core::{Event, Scale};
use relevo_sys::signals::{self, Signals};
use relevo_sys::{Errno, Signal};

use super::terminal::Terminal;

/// Every signal that means something to the primary.
const ALL: [Signal; 9] = [
    Signal::USR2,
    Signal::HUP,
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::TTIN,
    Signal::TTOU,
    Signal::USR1,
    Signal::CHILD,
];

/// Signals, as something to wait for.
pub(crate) struct SignalSource {
    signals: Signals,
    has_terminal: bool,
}

/// What a signal asks for.
pub(crate) enum Wish {
    Reload,
    Event(Event),
    Say(&'static str),
    /// Ctrl-Z on the terminal.
    StopAtTerminal,
    /// We go on after a stop, perhaps with the terminal.
    EnterTerminal,
    /// A child has ended; if it is no worker, it is an orphan that became ours.
    ReapStrangers,
}

impl SignalSource {
    /// To be called before any thread is started. A SIGHUP that was ignored stays ignored (`nohup`).
    pub(crate) fn take() -> Result<Self, Errno> {
        let ignores_hangup = signals::is_ignored(Signal::HUP);
        let mut wanted: Vec<Signal> =
            ALL.into_iter().filter(|signal| *signal != Signal::HUP || !ignores_hangup).collect();
        if Terminal::is_there() && !signals::is_ignored(Signal::TSTP) {
            wanted.extend([Signal::TSTP, Signal::CONT]);
        }
        let has_terminal = OpenOptions::new().read(true).open("/dev/tty").is_ok();
        Ok(Self { signals: Signals::take(&wanted)?, has_terminal })
    }

    /// To be watched.
    pub(crate) fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.signals.fd()
    }

    /// What the signals that have come ask for.
    pub(crate) fn read(&self) -> Vec<Wish> {
        let mut wishes = Vec::new();
        while let Ok(Some((signal, _))) = self.signals.next() {
            wishes.push(self.wish(signal));
        }
        wishes
    }

    fn wish(&self, signal: Signal) -> Wish {
        let stop = Wish::Event(Event::StopRequested { request: None });
        if signal == Signal::USR2 {
            Wish::Reload
        } else if signal == Signal::HUP {
            // The terminal is gone, or somebody wants the configuration read again.
            if self.has_terminal { stop } else { Wish::Reload }
        } else if signal == Signal::TERM || signal == Signal::INT {
            stop
        } else if signal == Signal::QUIT {
            Wish::Event(Event::StopNowRequested)
        } else if signal == Signal::CHILD {
            Wish::ReapStrangers
        } else if signal == Signal::TSTP {
            Wish::StopAtTerminal
        } else if signal == Signal::CONT {
            Wish::EnterTerminal
        } else if signal == Signal::USR1 {
            Wish::Say("SIGUSR1: there are no log files to reopen; nothing done")
        } else if signal == Signal::TTIN {
            scale(1)
        } else {
            scale(-1)
        }
    }
}

fn scale(by: i32) -> Wish {
    Wish::Event(Event::ScaleRequested { scale: Scale::By(by), wait: false, request: None })
}
