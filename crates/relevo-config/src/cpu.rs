//! How many CPUs a service may use: the quota of its cgroup, else the affinity mask.
//!
//! The shell reads `/proc/self/cgroup`, then every file that [`quota_files`] names, skipping those
//! that are not there, and hands their texts to [`v2_quota`] and [`v1_quota`]. The smallest quota
//! counts, because each group on the way to the root limits those below it. See cgroups(7) and the
//! kernel's `admin-guide/cgroup-v2.rst`, "CPU Interface Files".

use relevo_core::Spec;

/// Where the quota of one control group stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaFiles {
    /// Version 2: one file, for [`v2_quota`].
    V2 {
        /// The group's `cpu.max`.
        max: String,
    },
    /// Version 1: two files, for [`v1_quota`].
    V1 {
        /// The group's `cpu.cfs_quota_us`.
        quota: String,
        /// The group's `cpu.cfs_period_us`.
        period: String,
    },
}

/// The groups deeper than this are not looked at; the kernel's own limit on depth is far above
/// what exists, and a file must not make us open thousands of others.
const MAX_DEPTH: usize = 64;

/// The files that hold the quotas of our control group and all its ancestors, innermost first.
/// `text` is that of `/proc/self/cgroup`.
pub fn quota_files(text: &str) -> Vec<QuotaFiles> {
    let mut files = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if id == "0" && controllers.is_empty() {
            files.extend(
                ancestors(path)
                    .map(|group| QuotaFiles::V2 { max: format!("/sys/fs/cgroup{group}/cpu.max") }),
            );
        } else if controllers.split(',').any(|controller| controller == "cpu") {
            // Distributions mount it as `cpu,cpuacct` and link `cpu` to that.
            files.extend(ancestors(path).map(|group| QuotaFiles::V1 {
                quota: format!("/sys/fs/cgroup/cpu{group}/cpu.cfs_quota_us"),
                period: format!("/sys/fs/cgroup/cpu{group}/cpu.cfs_period_us"),
            }));
        }
    }
    files
}

/// The CPUs that a `cpu.max` allows (`max 100000` or `150000 100000`, in microseconds); `None`
/// without a limit, or if the text is something else.
pub fn v2_quota(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let quota = words.next()?;
    // The kernel's default, should it ever print the quota alone.
    let period = words.next().unwrap_or("100000");
    v1_quota(quota, period)
}

/// The CPUs that `cpu.cfs_quota_us` and `cpu.cfs_period_us` allow; `None` without a limit (a quota
/// of -1), or if a text is something else.
pub fn v1_quota(quota: &str, period: &str) -> Option<f64> {
    // Both fit 32 bits with room to spare: the kernel takes periods of at most a second.
    let quota: u32 = quota.trim().parse().ok()?;
    let period: u32 = period.trim().parse().ok()?;
    (quota > 0 && period > 0).then(|| f64::from(quota) / f64::from(period))
}

/// The smallest of the quotas found.
pub fn smallest(quotas: impl IntoIterator<Item = f64>) -> Option<f64> {
    quotas.into_iter().min_by(f64::total_cmp)
}

/// The number of workers for `--workers auto`: the quota rounded up, but not more than the CPUs in
/// the affinity mask, and at least one.
///
/// Rounded up, because with a quota of 1.5 one worker, which is one thread, could never use the
/// half that is left; two use all of it, and are throttled only when both are busy.
pub fn workers_for(quota: Option<f64>, affinity: usize) -> u32 {
    let affinity = u32::try_from(affinity).unwrap_or(u32::MAX).clamp(1, Spec::MAX_SLOTS);
    match quota {
        Some(quota) if quota < f64::from(affinity) => {
            // A positive number below 1024 after the guard, so nothing is cut.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let workers = quota.max(0.0).ceil() as u32;
            workers.max(1)
        }
        Some(_) | None => affinity,
    }
}

/// `/a/b`, `/a` and the empty path of the root.
///
/// A path that leaves our cgroup namespace (`/../x`) names nothing we can see; its root does.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let path = if path.split('/').any(|part| part == "..") { "" } else { path };
    let mut next = Some(path.trim_end_matches('/'));
    std::iter::from_fn(move || {
        let path = next?;
        next = path.rfind('/').map(|slash| &path[..slash]);
        Some(path)
    })
    .take(MAX_DEPTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2_paths(text: &str) -> Vec<String> {
        let path = |files| match files {
            QuotaFiles::V2 { max } => max,
            QuotaFiles::V1 { quota, .. } => quota,
        };
        quota_files(text).into_iter().map(path).collect()
    }

    #[test]
    fn version_2_gives_the_group_and_its_ancestors() {
        assert_eq!(
            v2_paths("0::/system.slice/web.service\n"),
            [
                "/sys/fs/cgroup/system.slice/web.service/cpu.max",
                "/sys/fs/cgroup/system.slice/cpu.max",
                "/sys/fs/cgroup/cpu.max",
            ]
        );
        assert_eq!(v2_paths("0::/\n"), ["/sys/fs/cgroup/cpu.max"]);
        assert_eq!(v2_paths("0::/../other\n"), ["/sys/fs/cgroup/cpu.max"]);
        assert_eq!(v2_paths("0::/a:b\n").first().unwrap(), "/sys/fs/cgroup/a:b/cpu.max");
    }

    #[test]
    fn version_1_gives_pairs_of_files() {
        let text = "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:cpuset:/\n0::/\n";
        let expected = |group: &str| QuotaFiles::V1 {
            quota: format!("/sys/fs/cgroup/cpu{group}/cpu.cfs_quota_us"),
            period: format!("/sys/fs/cgroup/cpu{group}/cpu.cfs_period_us"),
        };
        let files = quota_files(text);
        assert_eq!(files[..3], [expected("/docker/x"), expected("/docker"), expected("")]);
        assert_eq!(files.len(), 4);
    }

    #[test]
    fn strange_texts_name_no_files_or_few() {
        for text in ["", "\n", "nonsense", "1:name=systemd:/x", "::", "0:"] {
            assert_eq!(quota_files(text), [], "{text:?}");
        }
        let deep = format!("0::{}", "/x".repeat(100_000));
        assert_eq!(quota_files(&deep).len(), MAX_DEPTH);
    }

    #[test]
    fn quotas_are_read() {
        assert_eq!(v2_quota("max 100000\n"), None);
        assert_eq!(v2_quota("150000 100000\n"), Some(1.5));
        assert_eq!(v2_quota("50000"), Some(0.5));
        for text in ["", "x y", "0 100000", "100000 0", "-1 100000"] {
            assert_eq!(v2_quota(text), None, "{text:?}");
        }
        assert_eq!(v1_quota("-1\n", "100000\n"), None);
        assert_eq!(v1_quota("200000\n", "100000\n"), Some(2.0));
        assert_eq!(smallest([2.0, 0.5, 8.0]), Some(0.5));
        assert_eq!(smallest([]), None);
    }

    #[test]
    fn workers_follow_the_smaller_of_quota_and_affinity() {
        let cases = [
            (None, 8, 8),
            (None, 0, 1),
            (Some(1.5), 8, 2),
            (Some(0.2), 8, 1),
            (Some(2.0), 8, 2),
            (Some(16.0), 8, 8),
            (Some(-1.0), 8, 1),
            (Some(f64::NAN), 8, 8),
            (Some(1.5), 1, 1),
            (None, 4096, Spec::MAX_SLOTS),
        ];
        for (quota, affinity, workers) in cases {
            assert_eq!(workers_for(quota, affinity), workers, "{quota:?} {affinity}");
        }
    }
}
