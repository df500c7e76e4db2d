//! The symbolic links on the way to a path.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// How many links a path may lead through, as for the kernel (path_resolution(7)).
const MOST: usize = 40;

/// Each link on the way to this absolute path: the directory it is in, and its name there.
pub(super) fn on_the_way_to(path: &Path) -> Vec<(PathBuf, OsString)> {
    let mut found = Vec::new();
    follow(path, &mut found);
    found
}

fn follow(path: &Path, found: &mut Vec<(PathBuf, OsString)>) {
    let mut way = PathBuf::new();
    for component in path.components() {
        let Component::Normal(name) = component else {
            way.push(component);
            continue;
        };
        let directory = way.clone();
        way.push(name);
        let Ok(target) = fs::read_link(&way) else { continue };
        let link = (directory.clone(), name.to_owned());
        if found.len() >= MOST || found.contains(&link) {
            return;
        }
        found.push(link);
        follow(&directory.join(target), found);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_found_and_those_that_they_lead_through() {
        let top = std::env::temp_dir().join(format!("relevo-links-{}", std::process::id()));
        let top_real = {
            fs::create_dir_all(top.join("releases/1/app")).expect("directories");
            fs::canonicalize(&top).expect("it is there")
        };
        symlink("releases/newest", top.join("current")).expect("a link");
        symlink("1", top.join("releases/newest")).expect("a link");
        symlink("loop", top.join("loop")).expect("a link");
        let names = |path: &str| {
            let found = on_the_way_to(&top_real.join(path));
            let all = found.into_iter().map(|(directory, name)| directory.join(name));
            all.map(|path| path.strip_prefix(&top_real).expect("below").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("current/app/a.js"), [Path::new("current"), Path::new("releases/newest")]);
        assert!(names("releases/1/app/a.js").is_empty());
        assert_eq!(names("loop/a.js"), [Path::new("loop")]);
        fs::remove_dir_all(&top).expect("it is ours");
    }
}
