//! The directories that are watched, and what an event in one of them means.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use relevo_sys::Errno;
use rustix::fs::inotify::{ReadFlags, WatchFlags, add_watch, remove_watch};

use super::rules::{Here, Rules, is_rules};
use super::{Watched, links};

/// How many directories are watched at most.
const MAX_DIRECTORIES: usize = 50_000;

/// All directories that are watched, by the kernel's numbers for them.
pub(super) struct Tree {
    rules: Rules,
    directories: BTreeMap<i32, Directory>,
}

struct Directory {
    path: PathBuf,
    /// What is ignored in it; `None` where only `names` matter.
    here: Option<Rc<Here>>,
    /// Names that matter in any case: files that are watched, watched directories, links on the way to them.
    names: BTreeSet<OsString>,
}

/// What an event means.
#[derive(Default)]
pub(super) struct Seen {
    /// Paths that are not what they were.
    pub(super) changed: Vec<PathBuf>,
    /// A file with rules is another one.
    pub(super) rules: bool,
    /// A path that was asked for leads elsewhere now.
    pub(super) moved: bool,
    pub(super) complaint: Option<String>,
}

impl Tree {
    pub(super) fn new(wanted: &Watched) -> Self {
        let rules = Rules::new(&wanted.directory, &wanted.ignore, &wanted.paths);
        Self { rules, directories: BTreeMap::new() }
    }

    /// Watches all that is wanted. What stands against it is returned, for the log.
    pub(super) fn grow(&mut self, inotify: BorrowedFd<'_>, wanted: &Watched) -> Option<String> {
        let mut complaint = None;
        for path in &wanted.paths {
            if path.is_dir() {
                let (_, fault) = self.add_below(inotify, path, &Here::at_top(path));
                complaint = complaint.or(fault);
            }
            // It may be put in its place anew, as a whole.
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
                self.add_name(inotify, parent, name);
            }
        }
        for path in wanted.paths.iter().chain([&wanted.script]) {
            for (parent, name) in links::on_the_way_to(path) {
                self.add_name(inotify, &parent, &name);
            }
        }
        complaint
    }

    /// What it means that `flags` happened to `name` in this directory.
    pub(super) fn see(
        &mut self,
        inotify: BorrowedFd<'_>,
        number: i32,
        flags: ReadFlags,
        name: &OsStr,
    ) -> Seen {
        let mut seen = Seen::default();
        if flags.contains(ReadFlags::IGNORED) {
            self.directories.remove(&number);
            return seen;
        }
        let Some(directory) = self.directories.get(&number) else { return seen };
        let path = directory.path.join(name);
        let is_new = flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        if directory.names.contains(name) {
            seen.moved = !flags.contains(ReadFlags::CLOSE_WRITE);
            seen.changed.push(path);
            return seen;
        }
        let Some(here) = directory.here.clone() else { return seen };
        if is_rules(name) {
            seen.rules = true;
            let path = directory.path.clone();
            self.read_rules_again(&path);
            return seen;
        }
        let is_directory = flags.contains(ReadFlags::ISDIR);
        if name.is_empty() || self.rules.ignore(&here, &path, is_directory) {
            return seen;
        }
        if is_directory && flags.contains(ReadFlags::MOVED_FROM) {
            self.forget_below(inotify, &path);
            seen.changed.push(path);
        } else if is_directory && is_new {
            // What was put into it before it was watched has changed, too.
            (seen.changed, seen.complaint) = self.add_below(inotify, &path, &here.below(&path));
        } else if !is_directory && (!flags.contains(ReadFlags::CREATE) || is_whole(&path)) {
            seen.changed.push(path);
        }
        seen
    }

    /// So that what comes right after is judged by what they say now.
    fn read_rules_again(&mut self, top: &Path) {
        for directory in self.directories.values_mut() {
            if directory.here.is_some() && directory.path.starts_with(top) {
                directory.here = Some(Here::at_top(&directory.path));
            }
        }
    }

    /// Watches a directory and all below it that is not ignored. The files in there are returned, a
    /// few of them at least.
    fn add_below(
        &mut self,
        inotify: BorrowedFd<'_>,
        top: &Path,
        here: &Rc<Here>,
    ) -> (Vec<PathBuf>, Option<String>) {
        const TOLD: usize = 100;
        let mut files = Vec::new();
        let mut rest = vec![(top.to_owned(), Rc::clone(here))];
        while let Some((path, here)) = rest.pop() {
            if self.directories.len() >= MAX_DIRECTORIES {
                let why = format!("{MAX_DIRECTORIES} directories are the most that it watches");
                return (files, Some(incomplete(top, &why, "")));
            }
            match self.add(inotify, &path) {
                Ok(directory) => directory.here = Some(Rc::clone(&here)),
                Err(Errno::NOSPC) => {
                    let count = self.directories.len();
                    let why =
                        format!("the kernel has no inotify watch left after {count} directories");
                    let remedy = "raise fs.inotify.max_user_watches (sysctl(8)), or ";
                    return (files, Some(incomplete(top, &why, remedy)));
                }
                // It is gone again, or not ours to read.
                Err(_) => continue,
            }
            for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let path = entry.path();
                if self.rules.ignore(&here, &path, is_directory) {
                    continue;
                }
                if is_directory {
                    let below = here.below(&path);
                    rest.push((path, below));
                } else if files.len() < TOLD {
                    files.push(path);
                }
            }
        }
        (files, None)
    }

    fn add_name(&mut self, inotify: BorrowedFd<'_>, directory: &Path, name: &OsStr) {
        // Where that fails there is nothing to be noticed.
        if let Ok(directory) = self.add(inotify, directory) {
            directory.names.insert(name.to_owned());
        }
    }

    fn add(&mut self, inotify: BorrowedFd<'_>, path: &Path) -> Result<&mut Directory, Errno> {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ONLYDIR;
        let number = add_watch(inotify, path, flags)?;
        let new = || Directory { path: path.to_owned(), here: None, names: BTreeSet::new() };
        Ok(self.directories.entry(number).or_insert_with(new))
    }

    /// A directory that was moved away keeps its watches under a name that is not its own any more.
    fn forget_below(&mut self, inotify: BorrowedFd<'_>, top: &Path) {
        self.directories.retain(|number, directory| {
            let is_below = directory.path.starts_with(top);
            if is_below {
                let _ = remove_watch(inotify, *number);
            }
            !is_below
        });
    }
}

/// Whether something that has just appeared is there as a whole: a file that is being written is told
/// again when it is closed, a link is not.
fn is_whole(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink() || (it.is_file() && it.nlink() > 1))
}

fn incomplete(top: &Path, why: &str, remedy: &str) -> String {
    format!(
        "warning: --watch sees only a part of {}: {why}; {remedy}leave directories out with --ignore, or name fewer",
        top.display()
    )
}
