//! What fuzzing starts from and what it found, replayed; `fuzz/README.md` says how to find more.

mod replay;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use replay::replay;

fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/channel");
    let entries = std::fs::read_dir(directory).expect("the corpus is in the repository");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read(&path).expect("a file");
        (path, text)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn every_text_keeps_the_promises() {
    let mut seen = BTreeSet::new();
    for (path, text) in corpus() {
        // A panic does not say by itself which text it is about; what a test prints is shown then.
        println!("{}", path.display());
        seen.extend(replay(&text));
    }
    let missing: Vec<_> = EXPECTED.iter().filter(|name| !seen.contains(**name)).collect();
    assert!(missing.is_empty(), "no text leads to {missing:?}, but to {seen:?}");
}

/// Every message of `docs/node-channel.md` and every outcome, but for lines that are too long to be
/// replayed each time.
const EXPECTED: &[&str] = &[
    // FromWorker
    "Online",
    "QueryServer Query",
    "Listening Listening",
    "Close",
    "ExitedAfterDisconnect",
    "Reply",
    "HandleAck",
    "HandleNack",
    "UserHandle",
    "SocketNotifyClose",
    "SocketGetCount",
    "Agent Hello",
    "Agent Stopped",
    "Agent Left",
    "Agent Drained",
    "Agent PrimaryBranch",
    "Agent Unknown",
    "User Ready",
    "User Other",
    "Unknown",
    // Happened
    "Asked PendingQuery",
    "Listening",
    "Closed",
    "LeaveAsked PendingLeave",
    "Placed",
    "Refused",
    "ListenerNotTaken",
    "PassedHandle",
    // Violation
    "Bun",
    "TooManyDescriptors",
    "LongLineWithDescriptor",
    "LongInternalLine",
    "NotUtf8",
    "NotJson",
    "TooDeep",
    "Malformed",
    "UnaskedAcknowledgement",
    "UnaskedReply",
    "NotReading",
];

#[test]
fn the_corpus_is_small() {
    let corpus = corpus();
    assert!(corpus.len() <= 150, "{} files", corpus.len());
    let size: usize = corpus.iter().map(|(_, text)| text.len()).sum();
    assert!(size <= 100 << 10, "{size} bytes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Parts of the texts one after the other, some with a byte changed.
    #[test]
    fn so_does_what_is_made_of_them(parts in prop::collection::vec(
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<Option<(prop::sample::Index, u8)>>()),
        1..8,
    )) {
        let corpus = corpus();
        let mut text = Vec::new();
        for (file, end, change) in parts {
            let mut part = file.get(&corpus).1.clone();
            part.truncate(end.index(part.len() + 1));
            if let Some((at, byte)) = change.filter(|_| !part.is_empty()) {
                let at = at.index(part.len());
                part[at] = byte;
            }
            text.extend(part);
        }
        replay(&text);
    }
}
