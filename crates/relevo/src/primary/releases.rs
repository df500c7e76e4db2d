//! Where code is loaded from: paths are kept as the user gave them, and resolved once for each rollout,
//! when it begins. So all workers of a generation run the same code, whenever they are started and
//! wherever a link points by then.

use std::fs;
use std::path::{Path, PathBuf};

use relevo_core::ReleaseId;

use crate::configuration::{Configuration, Entry};

/// One place, with all links resolved.
#[derive(Debug)]
pub(crate) struct Release {
    /// The same for the same place.
    pub(crate) id: ReleaseId,
    place: Place,
}

/// What a release is known by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    script: PathBuf,
    directory: PathBuf,
}

impl Place {
    /// Where the configuration's paths lead now. One that leads nowhere stays as it is: nothing can be
    /// started there, and the worker's failure says so.
    pub(crate) fn resolve(configuration: &Configuration) -> Self {
        let resolved = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Self {
            script: resolved(&configuration.entry.script),
            directory: resolved(&configuration.directory),
        }
    }
}

impl Release {
    pub(crate) fn new(id: ReleaseId, place: Place) -> Self {
        Self { id, place }
    }

    pub(crate) fn is_at(&self, place: &Place) -> bool {
        self.place == *place
    }

    /// The directory that people know it by: that of the script.
    pub(crate) fn path(&self) -> &Path {
        self.place.script.parent().unwrap_or(Path::new("/"))
    }

    /// Where its workers work.
    pub(crate) fn directory(&self) -> &Path {
        &self.place.directory
    }

    /// What of it is not there any more.
    pub(crate) fn missing(&self) -> Option<&Path> {
        let Place { script, directory } = &self.place;
        if !directory.is_dir() {
            Some(directory)
        } else if !script.is_file() {
            Some(script)
        } else {
            None
        }
    }

    /// The script as node is told it. Through a link as the user gave it, node might load something else
    /// by the time that it has started; but where node is to see the link itself, that is what it gets
    /// as long as it leads here.
    pub(crate) fn script<'a>(&'a self, entry: &'a Entry, sees_links: bool) -> &'a Path {
        if sees_links && leads_to(&entry.script, &self.place.script) {
            &entry.script
        } else {
            &self.place.script
        }
    }

    /// The directory by the name that the user gave it (`PWD`), as long as that leads here.
    pub(crate) fn logical_directory<'a>(&'a self, given: &'a Path) -> &'a Path {
        if leads_to(given, &self.place.directory) { given } else { &self.place.directory }
    }
}

fn leads_to(path: &Path, place: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|resolved| resolved == place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn entry(script: &Path) -> Entry {
        let (node, script) = (PathBuf::from("node"), script.to_owned());
        Entry { node, node_args: Vec::new(), script, args: Vec::new(), name: None }
    }

    /// `1/app.js`, `2/app.js`, and `current`, a link to the first.
    fn site() -> PathBuf {
        let site = std::env::temp_dir().join(format!("relevo-releases-{}", std::process::id()));
        for release in ["1", "2"] {
            fs::create_dir_all(site.join(release)).unwrap();
            fs::write(site.join(release).join("app.js"), "").unwrap();
        }
        symlink("1", site.join("current")).unwrap();
        fs::canonicalize(site).unwrap()
    }

    #[test]
    fn it_is_the_same_wherever_the_link_points_afterwards() {
        let root = site();
        let (current, first) = (root.join("current"), root.join("1"));
        let place = Place { script: first.join("app.js"), directory: first.clone() };
        let release = Release::new(ReleaseId(1), place);
        let entry = entry(&current.join("app.js"));
        assert_eq!(release.path(), first);
        assert_eq!(release.script(&entry, false), first.join("app.js"));
        assert_eq!(release.script(&entry, true), current.join("app.js"));
        assert_eq!(release.logical_directory(&current), current);
        fs::remove_file(&current).unwrap();
        symlink("2", &current).unwrap();
        assert_eq!(release.script(&entry, true), first.join("app.js"));
        assert_eq!(release.logical_directory(&current), first);
        assert_eq!(release.missing(), None);
        fs::remove_file(first.join("app.js")).unwrap();
        assert_eq!(release.missing(), Some(first.join("app.js").as_path()));
        fs::remove_dir(&first).unwrap();
        assert_eq!(release.missing(), Some(first.as_path()));
        fs::remove_dir_all(root).unwrap();
    }
}
