//! `relevo check`: is this file, and all that it names, as `run` and `reload` want it?

mod boot;

use std::path::{Path, PathBuf};

use relevo_config::{Choices, config_file};
use relevo_wire::checked::{Checked, Fault};

use super::Failure;
use super::client::report::{finish, print, printable};
use crate::configuration::{Configuration, Faults, Source, logical_current_directory};

/// Look for faults in a relevo.toml and in what it names
///
/// All faults are told at once, each with its line and what to do: unknown options, wrong values, env
/// files and scripts that are not there. Exit 0 if there are none, else 2. Nothing is started.
///
/// With `--boot` one worker is started as well, and ended when it is ready: exit 1 if it does not become
/// so. It believes that it listens, but nobody can reach it, and a service that runs is not disturbed.
/// What the app does besides while it starts, it does: it connects to its databases, and migrates them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  relevo check\n  relevo check /srv/web/relevo.toml\n  relevo check --boot"
)]
pub(crate) struct Args {
    /// The file [default: relevo.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Start one worker, see whether it becomes ready, and end it
    #[arg(long)]
    boot: bool,

    /// Print the faults as one JSON object
    #[arg(long)]
    json: bool,
}

/// Reads the file as `run` would.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let file = args.file.clone().unwrap_or_else(|| config_file::FILE_NAME.into());
    let here = match logical_current_directory() {
        Ok(here) => here,
        Err(failure) => return finish(args.json, Err(failure)),
    };
    let source = Source::new(Choices::default(), Vec::new(), Some(&file), here);
    match source.read(None) {
        Ok(configuration) if args.boot => boot_too(args, &file, source, configuration),
        Ok(configuration) => {
            print(&if args.json { json(&file, None) } else { sentence(&file, &configuration) })?;
            Ok(0)
        }
        Err(faults) => {
            if args.json {
                print(&json(&file, Some(&faults)))?;
            }
            // The words go to stderr in any case, as those of other failures do.
            finish(false, Err(faults.into_failure()))
        }
    }
}

fn boot_too(
    args: &Args,
    file: &Path,
    source: Source,
    configuration: Configuration,
) -> Result<u8, Failure> {
    let booted = match boot::boot(file, source, configuration) {
        Ok(booted) => booted,
        Err(failure) => return finish(args.json, Err(failure)),
    };
    if args.json {
        let checked =
            Checked { boot: Some(booted.boot), ..Checked::new(&file.display().to_string()) };
        print(&checked.to_line())?;
    }
    match booted.outcome {
        Ok(said) if !args.json => print(&format!("{}\n", printable(&said)))?,
        Ok(_) => {}
        // The words go to stderr in any case.
        Err(failure) => return finish(false, Err(failure)),
    }
    Ok(0)
}

fn sentence(file: &Path, configuration: &Configuration) -> String {
    let name = &configuration.name;
    let script = configuration.entry.script.display();
    let text = format!("{}: no faults; the service `{name}` runs {script}", file.display());
    format!("{}\n", printable(&text))
}

fn json(file: &Path, faults: Option<&Faults>) -> String {
    let mut checked = Checked::new(&file.display().to_string());
    if let Some(faults) = faults {
        let (placed, more) = faults.placed();
        checked.faults = placed
            .iter()
            .map(|fault| Fault {
                line: Some(fault.line),
                column: Some(fault.column),
                length: Some(fault.length),
                message: fault.message.clone(),
                help: fault.help.clone(),
            })
            .collect();
        checked.faults.extend(faults.elsewhere().map(|failure| Fault::elsewhere(&failure.reason)));
        checked.more = more;
        checked.valid = false;
    }
    checked.to_line()
}
