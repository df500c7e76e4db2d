//! `relevo __exec`: the shim that becomes a worker.
//!
//! The primary starts it with a socket as its stdin, over which the worker's channel comes and on
//! which it reports what failed. What has to be done before a program can be executed is ordinary
//! code here, in a process of its own (`relevo_sys::launch`).

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use clap::Parser;
use relevo_core::SpawnStage;
use relevo_sys::Errno;
use relevo_sys::account::{become_user, renounce_new_privileges};
use relevo_sys::launch::{
    close_on_exec_from, place_descriptor, receive_channel, report_failure, take_status_socket,
};
use relevo_sys::process::{exec, new_session, set_nofile};
use relevo_wire::ExitCode;

use super::Failure;
use crate::configuration::Identity;
use crate::primary::environment::CHANNEL_FD;

/// The command's name. Nobody but the primary uses it.
pub(crate) const NAME: &str = "__exec";

/// Become a worker (used by Relevo itself)
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[arg(long)]
    directory: PathBuf,
    /// The soft and the hard limit of open files
    #[arg(long, value_parser = parse_limits)]
    nofile: (u64, u64),
    /// The user, the first group and all groups to become
    #[arg(long, value_parser = parse_identity)]
    identity: Option<Rights>,
    /// Whether programs can never get more rights than that
    #[arg(long)]
    no_new_privileges: bool,
    /// It is no worker: what fails is told on stderr
    #[arg(long)]
    without_channel: bool,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Never returns where all goes well.
pub(crate) fn run(args: Args) -> Result<u8, Failure> {
    if args.without_channel {
        let (stage, errno) = become_program(None, args);
        let why = super::error_text(&errno.into());
        return Err(Failure::new(ExitCode::Failed, format!("{stage}: {why}")));
    }
    let status = take_status_socket().map_err(|errno| {
        Failure::new(ExitCode::Usage, format!("this command is for Relevo's own use ({errno})"))
    })?;
    let (stage, errno) = become_program(Some(status.as_fd()), args);
    report_failure(status.as_fd(), number_of(stage), errno);
    Ok(ExitCode::Failed.code())
}

/// Returns only what failed.
fn become_program(status: Option<BorrowedFd<'_>>, args: Args) -> (SpawnStage, Errno) {
    let prepare = || -> Result<(), (SpawnStage, Errno)> {
        let take = |status| receive_channel(status)?.ok_or(Errno::CONNRESET);
        let channel = status.map(take).transpose();
        let channel = channel.map_err(|errno| (SpawnStage::Descriptors, errno))?;
        new_session().map_err(|errno| (SpawnStage::Session, errno))?;
        let (soft, hard) = args.nofile;
        set_nofile(soft, hard).map_err(|errno| (SpawnStage::Limits, errno))?;
        // As root until here: a limit may have to be raised.
        take_rights(&args).map_err(|errno| (SpawnStage::User, errno))?;
        std::env::set_current_dir(&args.directory).map_err(|error| {
            (SpawnStage::Directory, Errno::from_io_error(&error).unwrap_or(Errno::IO))
        })?;
        close_on_exec_from(CHANNEL_FD.unsigned_abs())
            .and_then(|()| channel.map_or(Ok(()), |channel| place_descriptor(channel, CHANNEL_FD)))
            .map_err(|errno| (SpawnStage::Descriptors, errno))
    };
    if let Err(failed) = prepare() {
        return failed;
    }
    let mut command = args.command.into_iter();
    let Some(program) = command.next() else { return (SpawnStage::Exec, Errno::NOENT) };
    (SpawnStage::Exec, exec(&program, command, std::env::vars_os()))
}

fn take_rights(args: &Args) -> Result<(), Errno> {
    if let Some(Rights { uid, gid, groups }) = &args.identity {
        become_user(*uid, *gid, groups)?;
    }
    if args.no_new_privileges { renounce_new_privileges() } else { Ok(()) }
}

/// Whose rights are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

/// The arguments that make the shim take the rights of somebody.
pub(crate) fn identity_arguments(identity: &Identity) -> Vec<String> {
    let mut arguments = Vec::new();
    if let Some(groups) = &identity.groups {
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        let (uid, gid) = (identity.uid, identity.gid);
        arguments.push(format!("--identity={uid}:{gid}:{}", groups.join(",")));
    }
    if identity.is_bound {
        arguments.push("--no-new-privileges".to_owned());
    }
    arguments
}

fn parse_identity(text: &str) -> Result<Rights, String> {
    let read = || {
        let mut parts = text.splitn(3, ':');
        let (uid, gid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let groups = parts.next()?.split(',').filter(|part| !part.is_empty());
        let groups = groups.map(str::parse).collect::<Result<Vec<u32>, _>>().ok()?;
        Some(Rights { uid, gid, groups })
    };
    read().ok_or_else(|| format!("`{text}` is not UID:GID:GROUPS"))
}

fn parse_limits(text: &str) -> Result<(u64, u64), String> {
    text.split_once(':')
        .and_then(|(soft, hard)| Some((soft.parse().ok()?, hard.parse().ok()?)))
        .ok_or_else(|| format!("`{text}` is not SOFT:HARD"))
}

/// The stages by their numbers on the socket.
const STAGES: [SpawnStage; 7] = [
    SpawnStage::Fork,
    SpawnStage::Session,
    SpawnStage::Limits,
    SpawnStage::User,
    SpawnStage::Directory,
    SpawnStage::Descriptors,
    SpawnStage::Exec,
];

fn number_of(stage: SpawnStage) -> u8 {
    let position = STAGES.iter().position(|known| *known == stage);
    position.and_then(|position| u8::try_from(position).ok()).unwrap_or(0)
}

/// The stage that a shim reported by its number.
pub(crate) fn stage_of(number: u8) -> SpawnStage {
    STAGES.get(usize::from(number)).copied().unwrap_or(SpawnStage::Fork)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_its_number() {
        for stage in STAGES {
            assert_eq!(stage_of(number_of(stage)), stage);
        }
    }
}
