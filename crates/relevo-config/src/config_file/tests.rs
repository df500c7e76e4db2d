use super::*;

fn options(text: &str) -> (Options, Vec<String>) {
    let file = match ConfigFile::parse(text.as_bytes()) {
        Ok(file) => file,
        Err(faults) => panic!("{}", faults.render("relevo.toml", text.as_bytes())),
    };
    let mut options = Options::default();
    file.choices.apply(&mut options);
    (options, file.words)
}

fn faults(text: &str) -> Vec<(usize, usize, usize, String)> {
    let faults = ConfigFile::parse(text.as_bytes()).unwrap_err();
    let sentence = |fault: &Diagnostic| match &fault.help {
        Some(help) => format!("{}: {help}", fault.message),
        None => fault.message.clone(),
    };
    faults.shown().iter().map(|d| (d.line, d.column, d.length, sentence(d))).collect()
}

/// The one fault of a text, and the part of the text that is underlined.
#[track_caller]
fn check(text: &str, underlined: &str, expected: &str) {
    let all = faults(text);
    let [(line, column, length, sentence)] = all.as_slice() else { panic!("{all:?}") };
    let shown: String =
        text.lines().nth(line - 1).unwrap().chars().skip(column - 1).take(*length).collect();
    assert_eq!((shown.as_str(), sentence.as_str()), (underlined, expected));
}

#[test]
fn a_file_with_everything() {
    let (options, words) = options(
        r#"
        script = "server.js"
        args = ["--verbose", "x"]
        name = "web"
        workers = 4
        balance = "round-robin"
        backlog = 128
        hold = "1m30s"
        linger = 0
        stop-signal = "INT"
        no-agent = true
        keep-trying = false
        node-arg = ["--enable-source-maps"]
        env-file = ".env"
        cwd = "app"

        [env]
        PORT = 3000
        LOW = -1
        DEBUG = true
        "name" = "a = b"
        "#,
    );
    assert_eq!(words, ["server.js", "--verbose", "x"]);
    assert_eq!(options.name.unwrap().as_str(), "web");
    assert_eq!(options.workers.slots(9), 4);
    assert_eq!(options.hold.to_string(), "1m30s");
    assert!(options.linger.duration().is_zero());
    assert_eq!(options.stop_signal.name(), "SIGINT");
    assert!(!options.agent && !options.keep_trying);
    assert_eq!(options.node_args, ["--enable-source-maps"]);
    let env: Vec<String> = options.env.iter().map(ToString::to_string).collect();
    assert_eq!(env, ["DEBUG=true", "LOW=-1", "PORT=3000", "name=a = b"]);
    assert_eq!((options.env_files.len(), options.cwd), (1, Some("app".into())));
}

#[test]
fn an_empty_file_changes_nothing() {
    for text in ["", "# nothing\n", "\u{feff}", "[env]\n", "no-agent = false"] {
        assert_eq!(options(text), (Options::default(), Vec::new()), "{text:?}");
    }
}

/// One table makes both, so that this could only fail for a form that a file cannot express.
#[test]
fn every_option_has_a_key() {
    for setting in Setting::ALL {
        let text = match setting.form() {
            Form::Flag => format!("{} = true", setting.name),
            Form::Variable => format!("[{}]\nA = \"b\"", setting.name),
            Form::PathOrFlag => format!("{0} = true", setting.name),
            Form::Text if setting.name == "reload-at" => "reload-at = '30 4 * * *'".to_owned(),
            Form::Text | Form::Number | Form::Path => {
                let value = setting.values(&Options::default()).pop();
                // What has no default, and is not any text.
                let otherwise = match setting.name {
                    "canary-requests" => "100",
                    "canary-share" => "10%",
                    "final-exit-codes" => "1",
                    "max-memory" => "1G",
                    "max-age" => "1h",
                    "max-requests" => "9",
                    _ => "x",
                };
                format!("{} = \"{}\"", setting.name, value.as_deref().unwrap_or(otherwise))
            }
        };
        assert!(ConfigFile::parse(text.as_bytes()).is_ok(), "{text}");
    }
}

#[test]
fn unknown_keys() {
    check(
        "drain_timout = \"1s\"",
        "drain_timout",
        "there is no option `drain_timout`: did you mean `drain-timeout`?",
    );
    check(
        "listen = 3000",
        "listen",
        "there is no option `listen`: the keys are the options that `relevo run --help` lists, `script` and `args`",
    );
    check(
        "config = \"x\"",
        "config",
        "`config` names this very file: leave it out: it is for the command line",
    );
}

#[test]
fn wrong_types_and_values() {
    check(
        "hold = 30",
        "30",
        "hold: `30` has no unit: write `30s` for seconds or `30ms` for milliseconds",
    );
    check(
        "hold = true",
        "true",
        "`hold` is true or false here: it takes a text between quotes, or a number",
    );
    check(
        "workers = 0",
        "0",
        "workers: `0` workers would serve nobody: give a whole number from 1 to 1024, or `auto`",
    );
    check(
        "workers = 1.5",
        "1.5",
        "workers: `1.5` is not a number of workers: give a whole number from 1 to 1024, or `auto`",
    );
    check("name = 5", "5", "`name` is a whole number here: it takes a text between quotes");
    check("no-agent = \"yes\"", "\"yes\"", "`no-agent` is a text here: it takes `true` or `false`");
    check(
        "node-arg = [\"a\", 1]",
        "1",
        "`node-arg` is a whole number here: it takes texts between quotes in its list",
    );
    check(
        "args = [\"a\"]",
        "args",
        "`args` stand here without a `script`: add `script`, which they are for",
    );
    check("script = [\"a\"]", "[\"a\"]", "`script` is a list here: it takes a text between quotes");
}

#[test]
fn variables() {
    let doubt = "the variable `A` is no text: put quotes around it, so that there is no doubt about its characters";
    check("env.A = 1.10", "1.10", doubt);
    check("env.A = 0x10", "0x10", doubt);
    check("env.A = 1_000", "1_000", doubt);
    check("env.A = 2020-01-01", "2020-01-01", doubt);
    check(
        "env.A = [1]",
        "[1]",
        "the variable `A` is a list: a variable has one value, a text between quotes",
    );
    check(
        "env = [\"A=b\"]",
        "[\"A=b\"]",
        "`env` takes a table of variables: write `[env]`, and below it one `KEY = \"value\"` a line",
    );
    check(
        "[env]\n\"a=b\" = \"c\"",
        "\"a=b\"",
        "this is not a variable's name: a name is not empty and has neither `=` nor NUL (environ(7))",
    );
    check(
        "[env]\nA = \"\\u0000\"",
        "\"\\u0000\"",
        "`A` has a NUL character: an environment cannot hold it (environ(7)): leave it out",
    );
    check(
        "[env]\nA = \"b\"\nhold = \"3s\"",
        "hold",
        "`hold` stands in the table `env`, so it would be a variable: write options above `[env]`; if it is a variable, quote its name: `\"hold\" = …`",
    );
}

#[test]
fn a_file_is_about_one_service() {
    let help = "a file is about one service: write the service's options at the top of the file, above any `[table]`, and give each service a file of its own";
    check("[[service]]\nname = \"a\"", "service", &format!("there is no table `service`: {help}"));
    check(
        "[services.web]\nname = \"a\"",
        "services",
        &format!("there is no table `services`: {help}"),
    );
    check("[web]\nworkers = 2", "web", &format!("there is no table `web`: {help}"));
}

#[test]
fn syntax() {
    check("hold = \"1s\"\nhold = \"2s\"", "hold", "this key is here twice: leave one of them out");
    check("[env]\nA = \"b\"\nA = \"c\"", "A", "this key is here twice: leave one of them out");
    check(
        "hold = 10s",
        "10s",
        "this value has no quotes: put texts between double quotes, as in `hold = \"10s\"`",
    );
    assert_eq!(faults("hold").len(), 1);
    assert_eq!(faults("= 3").len(), 1);
    assert_eq!(faults("name = \"a").len(), 1);
}

#[test]
fn all_faults_at_once_in_their_order() {
    let text =
        "wrkers = 2\nhold = 10s\nname = \"a b\"\n\n[env]\nPORT = 3000\nhold = \"1s\"\nB = 1.5\n";
    let lines: Vec<usize> = faults(text).iter().map(|fault| fault.0).collect();
    assert_eq!(lines, [1, 2, 3, 7, 8]);
}

#[test]
fn faults_that_others_find_have_places() {
    let text = "script = \"a.js\"\n\nenv-file = [\"a\", \"bc\"]\n";
    let file = ConfigFile::parse(text.as_bytes()).unwrap();
    let place = |key, index| {
        file.fault(key, index, "gone").map(|fault| (fault.line, fault.column, fault.length))
    };
    assert_eq!(place("env-file", 1), Some((3, 18, 4)));
    assert_eq!(place("script", 0), Some((1, 10, 6)));
    assert_eq!(place("env-file", 2), None);
    assert_eq!(place("cwd", 0), None);
}

#[test]
fn what_is_no_text_of_ours_is_refused_as_a_whole() {
    let huge = ConfigFile::parse(&vec![b'#'; MAX_BYTES + 1]).unwrap_err();
    assert!(huge.shown()[0].message.contains("larger than 1 MiB"));
    let binary = ConfigFile::parse(b"a = 1\nb\xff").unwrap_err();
    assert_eq!((binary.shown()[0].line, binary.shown()[0].column), (2, 2));
}

#[test]
fn many_faults_are_counted() {
    let text: String = (0..1000).map(|number| format!("x{number} = 1\n")).collect();
    let faults = ConfigFile::parse(text.as_bytes()).unwrap_err();
    assert_eq!((faults.shown().len(), faults.more()), (Diagnostics::MAX_SHOWN, 980));
}

/// The time that it takes grows with the text, not with its square.
#[test]
fn a_long_line_of_many_values() {
    let text = format!("env-file = [{}]", "\"é\",".repeat(100_000));
    let (options, _) = options(&text);
    assert_eq!(options.env_files.len(), 100_000);
    let file = ConfigFile::parse(text.as_bytes()).unwrap();
    let place = file.fault("env-file", 99_999, "gone").unwrap();
    assert_eq!((place.line, place.column), (1, 13 + 4 * 99_999));
    let text = format!("node-arg = [{}]", "1,".repeat(100_000));
    assert_eq!(ConfigFile::parse(text.as_bytes()).unwrap_err().more(), 99_980);
}

#[test]
fn deep_texts_are_faults() {
    for text in ["a = ".to_owned() + &"[".repeat(100_000), "a.".repeat(100_000) + "b = 1"] {
        assert!(ConfigFile::parse(text.as_bytes()).is_err());
    }
}
