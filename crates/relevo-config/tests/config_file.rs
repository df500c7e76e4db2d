//! No text, however odd, makes the reader of a `relevo.toml` panic.

use proptest::prelude::*;
use relevo_config::{ConfigFile, Options, config_file};

/// Pieces of which texts that nearly mean something are made.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "hold",
        "workers",
        "env",
        "args",
        "script",
        "no-agent",
        "node-arg",
        "env-file",
        "=",
        ".",
        "\n",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "#",
        "true",
        "10s",
        "\"10s\"",
        "-1",
        "0x1f",
        "1.5",
        "2020-01-01",
        "\\u0000",
        "\u{feff}",
        "é",
        "\r\n",
        "\t",
        " ",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => ".{0,8}"]
}

fn read(text: &[u8]) {
    match ConfigFile::parse(text) {
        Ok(file) => file.choices.apply(&mut Options::default()),
        Err(faults) => {
            assert!(!faults.is_empty());
            let shown = faults.render("relevo.toml", &config_file::masked(text));
            assert!(shown.starts_with("error: "), "{shown}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&text);
    }

    #[test]
    fn texts_that_nearly_mean_something(pieces in prop::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        read(text.as_bytes());
        // What is masked keeps its place, character by character.
        let masked = config_file::masked(text.as_bytes());
        let masked = String::from_utf8(masked).unwrap();
        prop_assert_eq!(masked.chars().count(), text.chars().count());
    }
}
