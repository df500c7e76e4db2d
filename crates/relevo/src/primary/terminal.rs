//! Ctrl-R on the terminal that `run` was started on.
//!
//! The terminal is the shell's, and lent: it is changed only while stdin is our controlling terminal and we are in
//! its foreground, and it is as it was again whenever we stop (Ctrl-Z), end, or panic. While it is ours, keys come one by
//! one and are not shown; those that make signals (Ctrl-C, Ctrl-Z, Ctrl-\) still do. From the background nothing is
//! changed or read: the shell is using it.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use relevo_sys::Errno;
use relevo_sys::poll::{Interest, Poller};
use relevo_sys::process::own_group;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr,
};

use super::token::Token;

/// Ctrl-R.
const RELOAD: u8 = 0x12;

/// How the terminal is to be left. Outside of the primary, so that a panic finds it.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The terminal, as far as it is ours.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    is_watched: bool,
    has_greeted: bool,
}

/// What came of looking at the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    Nothing,
    Reload,
}

impl Terminal {
    /// Whether there is one at all.
    pub(crate) fn is_there() -> bool {
        isatty(io::stdin())
    }

    /// Begins to listen to keys, if the terminal is ours just now. Returns what is to be said about it.
    pub(crate) fn enter(&mut self, poller: &Poller) -> Option<&'static str> {
        if !is_ours() || listen_to_keys().is_err() {
            self.look_away(poller);
            return None;
        }
        if !self.is_watched {
            let added = poller.add(io::stdin().as_fd(), Token::Terminal.pack(), Interest::READ);
            self.is_watched = added.is_ok();
        }
        let first = !std::mem::replace(&mut self.has_greeted, true);
        first.then_some("Ctrl-R reloads, Ctrl-C stops")
    }

    /// Gives it back.
    pub(crate) fn leave(&mut self, poller: &Poller) {
        self.look_away(poller);
        restore();
    }

    /// Reads keys; there must be something to read.
    pub(crate) fn read(&mut self, poller: &Poller, has_hung_up: bool) -> Pressed {
        let mut keys = [0; 64];
        // In the background the keys are the shell's; who comes back to the foreground by `fg` gets SIGCONT.
        if !is_ours() {
            self.look_away(poller);
            return Pressed::Nothing;
        }
        match rustix::io::read(io::stdin(), &mut keys) {
            Ok(0) | Err(Errno::AGAIN | Errno::INTR) if !has_hung_up => Pressed::Nothing,
            Ok(count) if keys[..count].contains(&RELOAD) => Pressed::Reload,
            Ok(count) if count > 0 => Pressed::Nothing,
            Ok(_) | Err(_) => {
                self.look_away(poller);
                Pressed::Nothing
            }
        }
    }

    fn look_away(&mut self, poller: &Poller) {
        if std::mem::take(&mut self.is_watched) {
            let _ = poller.remove(io::stdin().as_fd());
        }
    }
}

/// Leaves the terminal as it was found. Also called where the program ends by a bug.
pub(crate) fn restore() {
    let mut before = before();
    // From the background it would be the shell's settings that are overwritten.
    if let Some(termios) = before.take_if(|_| is_ours()) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &termios);
    }
}

fn before() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether stdin is our controlling terminal, and we are in its foreground.
fn is_ours() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|foreground| Some(foreground) == own_group())
}

fn listen_to_keys() -> Result<(), Errno> {
    let found = tcgetattr(io::stdin())?;
    let mut ours = found.clone();
    ours.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    ours.local_modes.insert(LocalModes::ISIG);
    // A read never waits, whatever somebody else has read in the meantime.
    ours.special_codes[SpecialCodeIndex::VMIN] = 0;
    ours.special_codes[SpecialCodeIndex::VTIME] = 0;
    let mut before = before();
    tcsetattr(io::stdin(), OptionalActions::Now, &ours)?;
    // After a stop that came too suddenly (SIGSTOP) it may still be in our way of having it.
    if before.is_none() || found.local_modes.contains(LocalModes::ICANON) {
        *before = Some(found);
    }
    Ok(())
}
