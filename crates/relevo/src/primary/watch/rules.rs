//! What is ignored: by `--ignore`, by what is never code, by `.ignore`, by `.gitignore`, by git's own excludes. The
//! first of these that says something about a path decides; among files of one kind, the one nearest to the path.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use relevo_config::IgnoreGlob;

/// Never a reason to reload unless `--ignore '!…'` says so: what is not the app's code, and what editors leave beside files
/// while they write them.
const ALWAYS: [&str; 15] = [
    "node_modules/",
    ".git",
    ".hg/",
    ".svn/",
    ".DS_Store",
    "*~",
    ".#*",
    "#*#",
    "*.swp",
    "*.swo",
    "*.swx",
    "*.kate-swp",
    "4913",
    "*___jb_???___",
    ".goutputstream-*",
];

/// Files with rules, the stronger one first.
const FILES: [&str; 2] = [".ignore", ".gitignore"];

/// The rules that count everywhere.
pub(super) struct Rules {
    own: Gitignore,
    excludes: Vec<Gitignore>,
}

/// The rules of a directory and of those above it.
pub(super) struct Here {
    above: Option<Rc<Here>>,
    /// In the order of [`FILES`].
    files: [Gitignore; FILES.len()],
}

impl Rules {
    /// `--ignore` is read from `directory`; git's excludes are those of the repositories that `paths`
    /// are in, and the user's.
    pub(super) fn new(directory: &Path, ignore: &[IgnoreGlob], paths: &[PathBuf]) -> Self {
        let mut own = GitignoreBuilder::new(directory);
        for line in
            ALWAYS.map(str::to_owned).into_iter().chain(ignore.iter().map(ToString::to_string))
        {
            // Each was tried when the option was read.
            let _ = own.add_line(None, &line);
        }
        let mut excludes = Vec::new();
        for path in paths {
            if let Some(top) = repository(path)
                && let Some(git) = git_directory(&top)
            {
                let mut builder = GitignoreBuilder::new(&top);
                let _ = builder.add(git.join("info/exclude"));
                excludes.extend(builder.build());
            }
        }
        excludes.push(Gitignore::global().0);
        Self { own: own.build().unwrap_or_else(|_| Gitignore::empty()), excludes }
    }

    /// Whether changes of this path are no reason to reload.
    pub(super) fn ignore(&self, here: &Here, path: &Path, is_directory: bool) -> bool {
        let said = |rules: &Gitignore| match rules.matched(path, is_directory) {
            Match::None => None,
            Match::Ignore(_) => Some(true),
            Match::Whitelist(_) => Some(false),
        };
        let of_files =
            (0..FILES.len()).find_map(|kind| here.up().find_map(|at| said(&at.files[kind])));
        let excluded = || self.excludes.iter().find_map(said);
        said(&self.own).or(of_files).or_else(excluded).unwrap_or(false)
    }
}

impl Here {
    /// The rules in `path`, and in the directories above it that belong to the same repository.
    pub(super) fn at_top(path: &Path) -> Rc<Self> {
        let top = repository(path).unwrap_or_else(|| path.to_owned());
        let mut way: Vec<&Path> = path.ancestors().take_while(|at| at.starts_with(&top)).collect();
        way.reverse();
        let none = Rc::new(Self { above: None, files: FILES.map(|_| Gitignore::empty()) });
        way.into_iter().fold(none, |above, at| above.below(at))
    }

    /// The rules one directory further down.
    pub(super) fn below(self: &Rc<Self>, directory: &Path) -> Rc<Self> {
        let files = FILES.map(|name| {
            let file = directory.join(name);
            // As git does, what cannot be read or understood is passed over.
            if file.is_file() { Gitignore::new(file).0 } else { Gitignore::empty() }
        });
        if files.iter().all(Gitignore::is_empty) {
            return Rc::clone(self);
        }
        Rc::new(Self { above: Some(Rc::clone(self)), files })
    }

    fn up(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |at| at.above.as_deref())
    }
}

/// Whether a file of this name has rules.
pub(super) fn is_rules(name: &std::ffi::OsStr) -> bool {
    FILES.iter().any(|file| name == *file)
}

/// The top of the git repository that this path is in.
fn repository(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|at| at.join(".git").exists()).map(Path::to_owned)
}

/// Where a repository has its `info/exclude`: gitrepository-layout(5). A worktree's `.git` is a file.
fn git_directory(top: &Path) -> Option<PathBuf> {
    let git = top.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = fs::read_to_string(&git).ok()?;
    let own = top.join(text.strip_prefix("gitdir:")?.trim());
    let common = fs::read_to_string(own.join("commondir")).ok();
    Some(common.map_or_else(|| own.clone(), |common| own.join(common.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these paths are ignored in a directory with these files; directories end in `/`.
    fn ignored(files: &[(&str, &str)], ignore: &[&str], paths: &[&str]) -> Vec<String> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let top =
            std::env::temp_dir().join(format!("relevo-rules-{}-{number}", std::process::id()));
        fs::create_dir_all(&top).expect("a directory");
        for (name, text) in files {
            let path = top.join(name);
            fs::create_dir_all(path.parent().expect("one above")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        let ignore: Vec<IgnoreGlob> =
            ignore.iter().map(|line| line.parse().expect("a pattern")).collect();
        let rules = Rules::new(&top, &ignore, std::slice::from_ref(&top));
        let is_ignored = |path: &&&str| {
            let full = top.join(path.trim_end_matches('/'));
            let here = Here::at_top(full.parent().expect("one above"));
            rules.ignore(&here, &full, path.ends_with('/'))
        };
        let found = paths.iter().filter(is_ignored).map(ToString::to_string).collect();
        fs::remove_dir_all(&top).expect("it is ours");
        found
    }

    #[test]
    fn what_is_never_code_is_ignored_unless_somebody_wants_it() {
        let paths = ["node_modules/", "a/node_modules/", ".git/", "a.js", "a.js~", ".a.js.swp"];
        let always = ["node_modules/", "a/node_modules/", ".git/", "a.js~", ".a.js.swp"];
        assert_eq!(ignored(&[], &[], &paths), always);
        assert_eq!(
            ignored(&[], &["!/node_modules/", "!*~"], &paths),
            ["a/node_modules/", ".git/", ".a.js.swp"]
        );
    }

    #[test]
    fn the_nearest_rule_counts_and_ignore_before_gitignore() {
        let files = [
            (".git/HEAD", ""),
            (".git/info/exclude", "excluded\n"),
            (".gitignore", "*.log\n/dist/\n"),
            ("lib/.gitignore", "!keep.log\n"),
            (".ignore", "!dist/\n*.snap\n"),
        ];
        let paths = [
            "a.log",
            "lib/a.log",
            "lib/keep.log",
            "keep.log",
            "dist/",
            "lib/dist/",
            "x.snap",
            "excluded",
            "a.js",
        ];
        let expected = ["a.log", "lib/a.log", "keep.log", "x.snap", "excluded"];
        assert_eq!(ignored(&files, &[], &paths), expected);
        assert_eq!(ignored(&files, &["!*.log", "/a.js"], &paths), ["x.snap", "excluded", "a.js"]);
    }

    #[test]
    fn a_worktree_has_the_excludes_of_its_repository() {
        let files = [
            ("main/info/exclude", "excluded\n"),
            ("main/worktrees/w/commondir", "../..\n"),
            (".git", "gitdir: main/worktrees/w\n"),
        ];
        assert_eq!(ignored(&files, &[], &["excluded", "a.js"]), ["excluded"]);
    }
}
