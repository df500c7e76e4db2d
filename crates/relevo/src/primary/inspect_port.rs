//! `--inspect` for several workers: each needs a port of its own, as under Node's primary
//! (`lib/internal/cluster/primary.js`, `createWorkerProcess`).

/// The port Node's inspector takes when none is named.
const DEFAULT: u32 = 9229;
/// The highest and the lowest port that is given to a worker.
const PORTS: std::ops::RangeInclusive<u32> = 1024..=65535;

/// The flag that gives this worker its port, if any of node's flags asks for the inspector.
pub(crate) fn flag<'a>(
    node_args: impl Iterator<Item = &'a str>,
    node_options: Option<&'a str>,
    worker: u64,
) -> Option<String> {
    let options = node_options.into_iter().flat_map(str::split_whitespace);
    let base = options.chain(node_args).filter_map(base_port).last()?;
    if base == 0 {
        // Any free port: nothing can collide.
        return None;
    }
    let span = u64::from(PORTS.end() - PORTS.start() + 1);
    let offset = (u64::from(base.saturating_sub(*PORTS.start())) + worker) % span;
    Some(format!("--inspect-port={}", u64::from(*PORTS.start()) + offset))
}

/// The port that a flag of node names, if it asks for the inspector.
fn base_port(flag: &str) -> Option<u32> {
    let (name, value) = match flag.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (flag, None),
    };
    if !matches!(name, "--inspect" | "--inspect-brk" | "--inspect-port" | "--inspect-wait") {
        return None;
    }
    let port = value.and_then(|value| value.rsplit(':').next()?.parse().ok());
    Some(port.unwrap_or(DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], options: Option<&str>, worker: u64, expected: Option<&str>) {
        let got = flag(args.iter().copied(), options, worker);
        assert_eq!(got.as_deref(), expected, "{args:?} {options:?}");
    }

    #[test]
    fn each_worker_gets_the_base_plus_its_number() {
        check(&["--inspect"], None, 1, Some("--inspect-port=9230"));
        check(&["--inspect"], None, 2, Some("--inspect-port=9231"));
        check(&["--inspect-brk=127.0.0.1:7000"], None, 3, Some("--inspect-port=7003"));
        check(&["--inspect=[::1]:7000"], None, 3, Some("--inspect-port=7003"));
        check(&[], Some("--max-old-space-size=64 --inspect=7100"), 1, Some("--inspect-port=7101"));
    }

    #[test]
    fn no_inspector_no_flag_and_any_port_stays_any() {
        check(&["--max-old-space-size=64"], None, 1, None);
        check(&["--inspect=0"], None, 1, None);
        check(&["--inspector-gadget"], None, 1, None);
    }

    #[test]
    fn ports_wrap_instead_of_overflowing() {
        check(&["--inspect=65535"], None, 1, Some("--inspect-port=1024"));
    }
}
