//! Who the workers run as: `--user` and `--group`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use relevo_config::{Options, similar};
use relevo_sys::account::{self, UserEntry};
use relevo_sys::process::{effective_gid, effective_uid};

use super::Fault;
use crate::cli::error_text;

/// Whoever is not Relevo's own user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// All groups; nothing where they stay as they are, since we may not change them.
    pub(crate) groups: Option<Vec<u32>>,
    /// Whether `--user` was given: its processes can get no more rights than they have.
    pub(crate) is_bound: bool,
    /// The user, for a person to read.
    pub(crate) shown: String,
    /// Where it is at home, and so on; nothing where only the group is another.
    variables: Vec<(String, String)>,
}

impl Identity {
    /// Who the options name; `None` if nobody.
    pub(super) fn of(options: &Options) -> Result<Option<Self>, Fault> {
        let (user, group) = (options.user.as_deref(), options.group.as_deref());
        if user.is_none() && group.is_none() {
            return Ok(None);
        }
        let entry = match user {
            Some(user) => Some(find_user(user, group.is_some())?),
            None => None,
        };
        let gid = group.map(find_group).transpose()?;
        let me = effective_uid();
        let uid = entry.as_ref().map_or(me, |entry| entry.uid);
        let gid = gid.or(entry.as_ref().map(|entry| entry.gid)).unwrap_or_else(effective_gid);
        if me != 0 {
            may_stay(uid, gid, user, group)?;
        }
        let groups = (me == 0).then(|| groups(uid, gid, entry.as_ref())).transpose()?;
        let shown = entry.as_ref().map_or_else(|| uid.to_string(), |entry| entry.name.clone());
        let variables = entry.map(|entry| variables(&entry)).unwrap_or_default();
        Ok(Some(Self { uid, gid, groups, is_bound: user.is_some(), shown, variables }))
    }

    /// What its processes find in their environment, before all that is said by files and options.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.variables.iter().cloned()
    }

    /// Whether it may go through this directory and all above it, by their modes.
    pub(crate) fn can_reach(&self, directory: &Path) -> bool {
        let resolved = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        resolved.ancestors().all(|above| {
            fs::metadata(above).is_ok_and(|it| self.may_search(it.uid(), it.gid(), it.mode()))
        })
    }

    fn may_search(&self, owner: u32, group: u32, mode: u32) -> bool {
        let groups = self.groups.as_deref().unwrap_or_default();
        let bit = if owner == self.uid {
            0o100
        } else if group == self.gid || groups.contains(&group) {
            0o010
        } else {
            0o001
        };
        self.uid == 0 || mode & bit != 0
    }

    /// Whether it has another user's rights than Relevo itself.
    pub(crate) fn is_somebody_else(&self) -> bool {
        self.uid != effective_uid()
    }
}

/// Without root's rights everything must stay as it is.
fn may_stay(uid: u32, gid: u32, user: Option<&str>, group: Option<&str>) -> Result<(), Fault> {
    let remedy = "start Relevo as root, or leave the option out";
    if let Some(user) = user.filter(|_| uid != effective_uid()) {
        let why =
            format!("only root can run workers as another user than itself, such as `{user}`");
        return Err(Fault::new("user", format!("{why}: {remedy}")));
    }
    if let Some(group) = group.filter(|_| gid != effective_gid()) {
        let why = format!("only root can run workers with another group, such as `{group}`");
        return Err(Fault::new("group", format!("{why}: {remedy}")));
    }
    Ok(())
}

/// A name, or else a number. Who has no entry in passwd has no group, unless `--group` says it.
fn find_user(text: &str, has_group: bool) -> Result<UserEntry, Fault> {
    let fault = |sentence: String| Fault::new("user", sentence);
    let failed = |errno: relevo_sys::Errno| {
        fault(format!("`{text}` cannot be looked up: {}", error_text(&errno.into())))
    };
    if let Some(entry) = account::user_by_name(text).map_err(failed)? {
        return Ok(entry);
    }
    let Ok(uid) = text.parse::<u32>() else {
        return Err(fault(unknown("user", text, "/etc/passwd")));
    };
    match account::user_by_id(uid).map_err(failed)? {
        Some(entry) => Ok(entry),
        None if has_group => Ok(UserEntry {
            name: text.to_owned(),
            uid,
            gid: effective_gid(),
            home: PathBuf::from("/"),
            shell: PathBuf::from("/bin/sh"),
        }),
        None => Err(fault(format!(
            "the user {text} has no entry in passwd, so its group is not known: name it with --group"
        ))),
    }
}

fn find_group(text: &str) -> Result<u32, Fault> {
    let found = account::group_by_name(text).map_err(|errno| {
        let why = error_text(&errno.into());
        Fault::new("group", format!("`{text}` cannot be looked up: {why}"))
    })?;
    found
        .or_else(|| text.parse().ok())
        .ok_or_else(|| Fault::new("group", unknown("group", text, "/etc/group")))
}

/// Who may have been meant is looked for in the file alone: other sources cannot be listed.
fn unknown(kind: &str, text: &str, file: &str) -> String {
    let all = fs::read_to_string(file).unwrap_or_default();
    let names = all.lines().filter_map(|line| line.split(':').next());
    let remedy = match similar(text, names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("name one that {file} has, or a number"),
    };
    format!("there is no {kind} `{text}`: {remedy}")
}

fn groups(uid: u32, gid: u32, entry: Option<&UserEntry>) -> Result<Vec<u32>, Fault> {
    let own = if entry.is_none() { account::user_by_id(uid).ok().flatten() } else { None };
    let Some(entry) = entry.or(own.as_ref()) else { return Ok(vec![gid]) };
    account::groups_of_name(&entry.name, gid).map_err(|errno| {
        let (name, why) = (&entry.name, error_text(&errno.into()));
        Fault::new("user", format!("the groups of `{name}` cannot be looked up: {why}"))
    })
}

fn variables(entry: &UserEntry) -> Vec<(String, String)> {
    let path = |path: &Path| path.display().to_string();
    let all = [
        ("HOME", path(&entry.home)),
        ("USER", entry.name.clone()),
        ("LOGNAME", entry.name.clone()),
        ("SHELL", path(&entry.shell)),
    ];
    all.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_say_who_may_go_through() {
        let somebody = Identity {
            uid: 1000,
            gid: 100,
            groups: Some(vec![100, 33]),
            is_bound: true,
            shown: "somebody".into(),
            variables: Vec::new(),
        };
        for (owner, group, mode, may) in [
            (0, 0, 0o755, true),
            (0, 0, 0o750, false),
            (0, 33, 0o710, true),
            (0, 33, 0o701, false),
            (1000, 0, 0o700, true),
            (1000, 0, 0o077, false),
        ] {
            assert_eq!(somebody.may_search(owner, group, mode), may, "{owner} {group} {mode:o}");
        }
    }
}
