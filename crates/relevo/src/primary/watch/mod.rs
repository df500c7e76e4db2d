//! `--watch`: files that change, as the kernel tells them (inotify(7)), on the primary's own loop.
//!
//! Nothing is read again and again, and nothing wakes the primary while nothing changes. Which changes
//! are one reason for a rollout is decided in the core ([`Changes`]).
//!
//! | file | |
//! | --- | --- |
//! | `rules.rs` | what is ignored |
//! | `tree.rs` | which directories are watched, and what an event in one of them means |
//! | `links.rs` | the links on the way to a path, which may move |

mod links;
mod rules;
mod tree;

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use relevo_config::IgnoreGlob;
use relevo_core::{Changed, Changes, Time};
use relevo_sys::Errno;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader};

use tree::{Seen, Tree};

/// How many bytes of events are taken at once.
const READ_BYTES: usize = 16 * 1024;
/// How many events are taken before others have their turn.
const EVENTS_PER_TURN: usize = 4096;

/// In how many turns is taken what the kernel keeps (fs.inotify.max_queued_events is 16,384 by default).
const LAST_TURNS: usize = 8;

/// What is to be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Where workers are started; `--ignore` and the log's paths start from here.
    pub(crate) directory: PathBuf,
    /// Files and directories.
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) ignore: Vec<IgnoreGlob>,
    /// The script: a link on the way to it that moves on brings other code.
    pub(crate) script: PathBuf,
}

/// Watches files; or nothing.
#[derive(Default)]
pub(crate) struct Watch {
    wanted: Watched,
    eyes: Option<Eyes>,
    changes: Changes,
}

/// The kernel's side, and what its numbers mean.
struct Eyes {
    inotify: OwnedFd,
    tree: Tree,
}

/// An event as the kernel tells it.
struct Happened {
    directory: i32,
    flags: ReadFlags,
    name: OsString,
}

impl Watch {
    /// To be waited for, if anything is watched.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.eyes.as_ref().map(|eyes| eyes.inotify.as_fd())
    }

    /// Whether something else is to be watched than is.
    pub(crate) fn differs_from(&self, wanted: &Watched) -> bool {
        self.wanted != *wanted
    }

    /// Watches what is wanted from now on. The descriptor is another one afterwards. What stands
    /// against it is returned, for the log.
    pub(crate) fn begin(&mut self, wanted: Watched) -> Vec<String> {
        self.wanted = wanted;
        if self.wanted.paths.is_empty() {
            self.eyes = None;
            return Vec::new();
        }
        match inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) {
            Ok(inotify) => {
                let mut tree = Tree::new(&self.wanted);
                let complaint = tree.grow(inotify.as_fd(), &self.wanted);
                self.eyes = Some(Eyes { inotify, tree });
                complaint.into_iter().collect()
            }
            Err(errno) => {
                self.eyes = None;
                let remedy = match errno {
                    Errno::MFILE => {
                        ": raise fs.inotify.max_user_instances (sysctl(8)), or the limit of open files"
                    }
                    _ => "",
                };
                vec![format!("warning: --watch sees nothing: inotify_init: {errno}{remedy}")]
            }
        }
    }

    /// Takes what has happened. `None`: all must begin anew, because a link has moved, rules have
    /// changed, or events were lost.
    pub(crate) fn read(&mut self, now: Time, is_rolling: bool) -> Option<Vec<String>> {
        let mut begins_anew = false;
        let mut complaints = Vec::new();
        let mut all_changed = Vec::new();
        let Some(eyes) = &mut self.eyes else { return Some(complaints) };
        for happened in take(eyes.inotify.as_fd()) {
            let Happened { directory, flags, name } = happened;
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                // It cannot be known what; but it was a lot.
                self.changes.add(now, "more than the kernel keeps", is_rolling);
                begins_anew = true;
                continue;
            }
            let seen = eyes.tree.see(eyes.inotify.as_fd(), directory, flags, &name);
            let Seen { changed, rules, moved, complaint } = seen;
            begins_anew |= rules || moved;
            complaints.extend(complaint);
            all_changed.extend(changed);
        }
        self.note(now, &all_changed, is_rolling);
        (!begins_anew).then_some(complaints)
    }

    /// Begins anew with what was watched before; what happens meanwhile is not lost.
    pub(crate) fn begin_anew(&mut self, now: Time, is_rolling: bool) -> Vec<String> {
        let old = self.eyes.take();
        let complaints = self.begin(self.wanted.clone());
        let Some(mut old) = old else { return complaints };
        for _ in 0..LAST_TURNS {
            let rest = take(old.inotify.as_fd());
            if rest.is_empty() {
                break;
            }
            for Happened { directory, flags, name } in rest {
                let seen = old.tree.see(old.inotify.as_fd(), directory, flags, &name);
                self.note(now, &seen.changed, is_rolling);
            }
        }
        complaints
    }

    fn note(&mut self, now: Time, changed: &[PathBuf], is_rolling: bool) {
        for path in changed {
            self.changes.add(now, &shown(path, &self.wanted.directory), is_rolling);
        }
    }

    /// When [`Watch::changed`] is to be asked.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.changes.deadline()
    }

    /// What is a reason for a rollout by now.
    pub(crate) fn changed(&mut self, now: Time) -> Option<Changed> {
        self.changes.take(now)
    }
}

/// Events that wait, as many as one turn takes.
fn take(inotify: BorrowedFd<'_>) -> Vec<Happened> {
    let mut buffer = vec![MaybeUninit::uninit(); READ_BYTES];
    let mut reader = Reader::new(inotify, &mut buffer);
    let mut all = Vec::new();
    while all.len() < EVENTS_PER_TURN || !reader.is_buffer_empty() {
        match reader.next() {
            Ok(event) => {
                let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                let name = name.unwrap_or_default().to_owned();
                all.push(Happened { directory: event.wd(), flags: event.events(), name });
            }
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    all
}

/// A path as the log has it: from the service's directory, and without control characters.
fn shown(path: &Path, directory: &Path) -> String {
    let below = path.strip_prefix(directory).ok().filter(|below| !below.as_os_str().is_empty());
    let path = below.unwrap_or(path);
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    path.to_string_lossy().chars().map(printable).collect()
}
