//! Processes: watching, signalling, reaping and becoming them.

mod exec;
mod exit;
mod limits;
mod pidfd;
mod session;
mod strangers;

pub use exec::exec;
pub use exit::Exit;
pub use limits::{NofileLimit, nofile_limit, raise_nofile_limit, set_nofile};
pub use pidfd::{Pidfd, peek_exit, reap};
pub use session::{
    become_subreaper, effective_gid, effective_uid, group_exists, new_session, own_group, own_pid,
    session_of, signal_group,
};
pub use strangers::reap_strangers;
