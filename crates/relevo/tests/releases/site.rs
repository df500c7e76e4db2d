//! A service that is deployed by release directories and a link.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::client::get;
use crate::support::service::{Service, Setup};
use crate::support::{TempDir, fixture};

/// `releases/1` and so on, and `current`, a link to one of them.
pub(crate) struct Site(TempDir);

impl Site {
    /// With a first release, to which the link leads.
    pub(crate) fn new() -> Self {
        let site = Self(TempDir::new("site"));
        site.release(1, "");
        site.link(1);
        site
    }

    pub(crate) fn directory(&self, release: u32) -> PathBuf {
        let releases = fs::canonicalize(self.0.path()).expect("the site").join("releases");
        releases.join(release.to_string())
    }

    /// One more release, whose app begins like this.
    pub(crate) fn release(&self, release: u32, beginning: &str) {
        let directory = self.0.join("releases").join(release.to_string());
        fs::create_dir_all(&directory).expect("a release");
        fs::write(directory.join("VERSION"), release.to_string()).expect("its version");
        let kitchen = fixture("kitchen.js");
        let app = format!(
            "{beginning}\nprocess.env.VERSION_FILE = `${{__dirname}}/VERSION`;\nrequire('{}');\n",
            kitchen.display()
        );
        fs::write(directory.join("app.js"), app).expect("its app");
    }

    /// Moves the link in one step, as deployment tools do.
    pub(crate) fn link(&self, release: u32) {
        symlink(format!("releases/{release}"), self.0.join("next")).expect("a link");
        fs::rename(self.0.join("next"), self.0.join("current")).expect("the link's move");
    }

    pub(crate) fn delete(&self, release: u32) {
        fs::remove_dir_all(self.directory(release)).expect("a release");
    }

    pub(crate) fn service(&self, port: u16, options: &str) -> Setup {
        Setup::new(22, self.0.join("current/app.js"))
            .options(&format!("--cwd {}", self.0.join("current").display()))
            .options(options)
            .env("PORT", port)
    }
}

/// The release of each slot's ready worker, by the name of its directory.
pub(crate) fn releases(status: &Value) -> Vec<String> {
    let slots = status["slots"].as_array().expect("slots");
    let workers = slots.iter().flat_map(|slot| slot["workers"].as_array().expect("workers"));
    let ready = workers.filter(|worker| worker["state"] == "ready");
    ready.map(|worker| name(&worker["release"])).collect()
}

fn name(release: &Value) -> String {
    let path = release.as_str().unwrap_or_else(|| panic!("{release} is no path"));
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// Every slot runs this release, and so it says of itself.
#[track_caller]
pub(crate) fn assert_runs(service: &Service, port: u16, slots: usize, release: u32) {
    let status = service.status();
    let release = release.to_string();
    assert_eq!(releases(&status), vec![release.clone(); slots], "{status}\n{}", service.log());
    for _ in 0..4 {
        let answer = get(port, "/").expect("an answer").json();
        assert_eq!(answer["version"], release.as_str(), "{answer}");
        assert_eq!(name(&answer["release"]), release, "{answer}");
    }
}
