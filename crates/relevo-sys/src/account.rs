//! Users and groups of this system, and becoming one: `passwd(5)`, `group(5)`, `credentials(7)`.
//!
//! Names are looked up by the C library, so that every source counts that it is configured for
//! (`nsswitch.conf(5)`). That may block, on a network even.

use std::ffi::{CStr, CString};
use std::path::PathBuf;

use nix::unistd::{Group, User, getgrouplist};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// An entry of `passwd(5)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntry {
    /// What it is called.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its first group's.
    pub gid: u32,
    /// Its home.
    pub home: PathBuf,
    /// Its shell.
    pub shell: PathBuf,
}

/// The user of that name, if there is one.
pub fn user_by_name(name: &str) -> Result<Option<UserEntry>, Errno> {
    User::from_name(name).map(|user| user.map(entry)).map_err(errno)
}

/// The user of that number, if it is in `passwd(5)`.
pub fn user_by_id(uid: u32) -> Result<Option<UserEntry>, Errno> {
    User::from_uid(uid.into()).map(|user| user.map(entry)).map_err(errno)
}

/// The number of the group of that name, if there is one.
pub fn group_by_name(name: &str) -> Result<Option<u32>, Errno> {
    Group::from_name(name).map(|group| group.map(|group| group.gid.as_raw())).map_err(errno)
}

/// All groups of a user, `gid` among them: what `initgroups(3)` gives.
pub fn groups_of(user: &CStr, gid: u32) -> Result<Vec<u32>, Errno> {
    let groups = getgrouplist(user, gid.into()).map_err(errno)?;
    Ok(groups.into_iter().map(nix::unistd::Gid::as_raw).collect())
}

/// The same for a name that is no C string, which nobody has.
pub fn groups_of_name(user: &str, gid: u32) -> Result<Vec<u32>, Errno> {
    groups_of(&CString::new(user).map_err(|_| Errno::INVAL)?, gid)
}

/// Shim: gives up the rights of this process for those of another user, for ever: groups first, since
/// the user may not change them. Meant for a process of a single thread; others keep what they had.
///
/// # Errors
///
/// `EPERM` for who may not.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> Result<(), Errno> {
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    set_thread_groups(&groups)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}

/// From now on no program that this process becomes gives it more rights (`PR_SET_NO_NEW_PRIVS`).
pub fn renounce_new_privileges() -> Result<(), Errno> {
    set_no_new_privs(true)
}

fn entry(user: User) -> UserEntry {
    let User { name, uid, gid, dir, shell, .. } = user;
    UserEntry { name, uid: uid.as_raw(), gid: gid.as_raw(), home: dir, shell }
}

fn errno(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_by_name_and_number() {
        let root = user_by_name("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user_by_id(0).unwrap(), Some(root));
        assert_eq!(group_by_name("root"), Ok(Some(0)));
        assert!(groups_of_name("root", 7).unwrap().contains(&7));
    }

    #[test]
    fn who_is_not_there_is_not_found() {
        assert_eq!(user_by_name("nobody-has-this-name"), Ok(None));
        assert_eq!(user_by_id(4_000_000_001), Ok(None));
        assert_eq!(group_by_name("nobody-has-this-name"), Ok(None));
    }
}
