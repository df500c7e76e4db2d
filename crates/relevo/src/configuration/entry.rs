//! Which program to run, with which node: the facts that `relevo-config` decides by, gathered.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use relevo_config::{
    NodeVersion, Package, Script, ServiceName, Surroundings, candidates, check_node_args, program,
    type_stripping_flag,
};

use crate::cli::{Failure, error_text};

/// The largest package.json that is read, in bytes.
const MAX_PACKAGE: u64 = 1024 * 1024;

/// A program, ready to be started again and again.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The node to run it, as given: looked up in `PATH` at every start where it has no slash.
    pub(crate) node: PathBuf,
    pub(crate) node_args: Vec<String>,
    /// The script's path as given, on top of the working directory: links are resolved at every start.
    pub(crate) script: PathBuf,
    pub(crate) args: Vec<String>,
    /// A name for the service, if one can be derived.
    pub(crate) name: Option<ServiceName>,
}

/// Finds out what the words after `run` mean in this directory.
pub(crate) fn resolve(
    words: &[String],
    directory: &Path,
    node_args: &[String],
) -> Result<Entry, Failure> {
    let refuse = |refusal: relevo_config::Refusal| Failure::usage(refusal.to_string());
    check_node_args(node_args).map_err(refuse)?;
    let package = read_package(directory)?;
    let has_index = directory.join("index.js").is_file();
    let surroundings = Surroundings { package: package.as_ref(), has_index };
    let program = program(words, surroundings).map_err(refuse)?;
    let script = find_script(directory, &program.script)?;
    let node = find_node(program.node.as_deref())?;
    let mut all_args = node_args.to_vec();
    all_args.extend(program.node_args);
    let kind = classify(&script, program.node.is_some())?;
    all_args.extend(kind.flags);
    if kind.typescript {
        let shown = script.display().to_string();
        let flag = type_stripping_flag(&shown, node_version(&node)?, &all_args).map_err(refuse)?;
        all_args.extend(flag.map(str::to_owned));
    }
    let name = derive_name(package.as_ref(), &script);
    Ok(Entry { node, node_args: all_args, script, args: program.args, name })
}

fn read_package(directory: &Path) -> Result<Option<Package>, Failure> {
    let path = directory.join("package.json");
    let Ok(file) = fs::File::open(&path) else { return Ok(None) };
    let mut text = String::new();
    file.take(MAX_PACKAGE)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Package::parse(&text)
        .map(Some)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// The file that node would run for this name.
fn find_script(directory: &Path, given: &str) -> Result<PathBuf, Failure> {
    let found =
        candidates(given).into_iter().map(|name| directory.join(name)).find(|p| p.is_file());
    if let Some(found) = found {
        return Ok(found);
    }
    let path = directory.join(given);
    Err(Failure::usage(if path.is_dir() {
        format!(
            "{} is a directory without an index.js: name the script in it, as in `relevo run {}/app.js`",
            path.display(),
            given.trim_end_matches('/')
        )
    } else {
        format!(
            "{} does not exist: name the script to run, as in `relevo run app.js`",
            path.display()
        )
    }))
}

/// What node would make of the file. Where the user named node, any name will do.
fn classify(script: &Path, node_was_named: bool) -> Result<Script, Failure> {
    let mut head = vec![0; Script::HEAD_BYTES];
    let unreadable = |error: std::io::Error| {
        let (shown, why) = (script.display(), error_text(&error));
        Failure::usage(format!("{shown} cannot be read: {why}: let this user read it"))
    };
    let mut file = fs::File::open(script).map_err(unreadable)?;
    let read = file.read(&mut head).map_err(unreadable)?;
    match Script::classify(&script.display().to_string(), &head[..read]) {
        Ok(kind) => Ok(kind),
        Err(_) if node_was_named => Ok(Script { typescript: false, flags: Vec::new() }),
        Err(refusal) => Err(Failure::usage(refusal.to_string())),
    }
}

/// The node to use: as named, else `node`; it must be there now, though it is looked up at every start.
fn find_node(named: Option<&str>) -> Result<PathBuf, Failure> {
    let node = PathBuf::from(named.unwrap_or("node"));
    let is_program = |path: &Path| {
        fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    if node.components().count() > 1 {
        return if is_program(&node) {
            // The workers' directory may be another one.
            std::path::absolute(&node).map_err(|error| Failure::usage(error.to_string()))
        } else {
            Err(Failure::usage(format!("{} is not a program", node.display())))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| is_program(&dir.join(&node))) {
        return Ok(node);
    }
    Err(Failure::usage(format!(
        "there is no `{}` in PATH: install Node.js, or name it, as in `relevo run /opt/node/bin/node app.js`",
        node.display()
    )))
}

/// Asks node for its version. Done only where something depends on it.
fn node_version(node: &Path) -> Result<NodeVersion, Failure> {
    let unknown = |why: String| Failure::usage(format!("`{} --version`: {why}", node.display()));
    let output =
        Command::new(node).arg("--version").output().map_err(|error| unknown(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = text.trim_start_matches('v').split('.').map(|part| part.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor), Some(patch)) => Ok((major, minor, patch)),
        (_, _, _) => Err(unknown(format!("printed `{text}`, which is no version"))),
    }
}

/// package.json's name, else that of the script's directory.
fn derive_name(package: Option<&Package>, script: &Path) -> Option<ServiceName> {
    package
        .and_then(|package| package.name.as_deref())
        .and_then(ServiceName::from_package_name)
        .or_else(|| script.parent().and_then(ServiceName::from_directory))
}
