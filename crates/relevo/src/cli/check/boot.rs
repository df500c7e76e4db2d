//! `relevo check --boot`: does one worker of this configuration become ready? It is started aside: it
//! believes that it listens, takes no connection from a service that runs, and is ended.

use std::path::Path;
use std::str::FromStr;

use relevo_wire::ExitCode;
use relevo_wire::checked::Boot;

use crate::cli::{Failure, run};
use crate::configuration::{Configuration, Source};
use crate::primary::{Primary, Reading, Service, StartError};

/// What came of it, for the object of `--json` and for people.
pub(super) struct Booted {
    pub(super) boot: Boot,
    /// A sentence, or why it is a failure.
    pub(super) outcome: Result<String, Failure>,
}

/// Starts one worker and ends it.
pub(super) fn boot(
    file: &Path,
    source: Source,
    mut configuration: Configuration,
) -> Result<Booted, Failure> {
    let name = format!("check-{}", std::process::id());
    configuration.name = name.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let options = &mut configuration.options;
    (options.workers, options.standby) = (written("1"), written("0"));
    // Connections that are dealt come to nobody by themselves.
    options.balance = written("round-robin");
    (options.lame_duck, options.keep_trying) = (written("0s"), false);
    let machine = run::machine()?;
    let reading = Reading::new(source, configuration, machine);
    let service = Service { inherited: Vec::new(), reading, is_trial: true };
    let trial = Primary::start(service).map_err(StartError::into_failure)?.try_out();
    let after_ms =
        trial.ready_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let failure = trial.failure;
    let file = file.display();
    let outcome = match (after_ms, &failure) {
        (Some(ms), _) => Ok(match trial.addresses.as_slice() {
            [] => format!("{file}: ready after {ms} ms; opens no port"),
            some => format!("{file}: ready after {ms} ms; would listen on {}", some.join(", ")),
        }),
        (None, Some((why, last_words))) => {
            let reason =
                format!("{file} has no faults, but {why}: see what it says, and mend that");
            Err(Failure::new(ExitCode::Failed, reason).with_detail(last_words.clone()))
        }
        (None, None) => {
            let reason =
                format!("{file} has no faults, but the worker was ended before it was ready");
            Err(Failure::new(ExitCode::Failed, reason))
        }
    };
    let reason = failure.map(|(why, _)| why);
    let boot = Boot { ready: after_ms.is_some(), after_ms, listens_on: trial.addresses, reason };
    Ok(Booted { boot, outcome })
}

fn written<T: FromStr>(value: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    value.parse().expect("a value that stands in the documents")
}
