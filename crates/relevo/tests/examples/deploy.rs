//! `examples/deploy/deploy.sh`: release directories and a link.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::client::get;
use crate::support::ports::port;
use crate::support::relevo::{path_with, write};
use crate::support::service::{RELEVO, Setup};
use crate::support::{TempDir, root};

struct Operator<'a> {
    place: &'a TempDir,
    runtime: &'a Path,
    service: &'a str,
}

impl Operator<'_> {
    fn site(&self) -> PathBuf {
        self.place.join("site")
    }

    /// Deploys this app; how that ended, and all that was said.
    fn deploy(&self, app: &str) -> (Option<i32>, String) {
        write(self.place.join("source/app.js"), app);
        let output = Command::new(root().join("examples/deploy/deploy.sh"))
            .arg(self.place.join("source"))
            .env("PATH", path_with(22))
            .env("DEPLOY_SITE", self.site())
            .env("DEPLOY_SERVICE", self.service)
            .env("DEPLOY_RELEVO", RELEVO)
            .env("DEPLOY_KEEP", "2")
            .env("DEPLOY_INSTALL", "echo installing")
            .env("RELEVO_RUNTIME_DIR", self.runtime)
            .output()
            .expect("sh");
        let Output { status, stdout, stderr } = output;
        (
            status.code(),
            [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat(),
        )
    }

    fn link(&self) -> String {
        std::fs::read_link(self.site().join("current")).expect("a link").display().to_string()
    }

    fn has(&self, release: u32) -> bool {
        self.site().join(format!("releases/{release}")).exists()
    }
}

fn app(version: u32) -> String {
    format!(
        "require('http').createServer((q, r) => r.end('version {version}')).listen(Number(process.env.PORT));\n"
    )
}

#[test]
fn it_deploys_goes_back_when_refused_and_tidies_up() {
    let place = TempDir::new("releases");
    std::fs::create_dir(place.join("source")).expect("a directory");
    write(place.join("source/package-lock.json"), "{}");
    let (port, runtime) = (port(), TempDir::new("releases-runtime"));
    let setup = Setup::new(22, place.join("site/current/app.js"))
        .options("-w 1 --probation 0s")
        .env("PORT", port)
        .env("RELEVO_RUNTIME_DIR", runtime.path().display());
    let name = setup.name().to_owned();
    let operator = Operator { place: &place, runtime: runtime.path(), service: &name };
    let serves = |version: &str| {
        assert_eq!(get(port, "/").expect("an answer").text(), format!("version {version}"));
    };

    let (code, said) = operator.deploy(&app(1));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("installing") && said.contains("is not running yet"), "{said}");
    let service = setup.start();
    let (code, said) = operator.deploy(&app(2));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("'{name}' serves release 2")), "{said}");
    serves("2");

    let (code, said) = operator.deploy("console.error('no database'); process.exit(3);\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no database") && said.contains("the link is at releases/2"), "{said}");
    assert_eq!(operator.link(), "releases/2");
    serves("2");

    // What serves is kept, however old it is.
    let output = service
        .command(&["rollback", &name])
        .env("RELEVO_RUNTIME_DIR", runtime.path())
        .output()
        .expect("relevo runs");
    assert!(output.status.success(), "{output:?}");
    serves("1");
    let (code, said) = operator.deploy("process.exit(3);\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(operator.has(1) && operator.has(2), "{said}");
    let (code, said) = operator.deploy(&app(5));
    assert_eq!(code, Some(0), "{said}");
    serves("5");
    assert!(said.contains("release 2 is removed") && !operator.has(2) && operator.has(5), "{said}");
}
