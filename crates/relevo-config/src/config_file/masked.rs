//! A file's text, with the values of variables made unreadable.

use crate::env_file;

/// The text to show a fault in: every character keeps its place, but what may be a variable's value
/// is masked as in an env file. Goes by lines, because a text with faults has no other structure.
pub fn masked(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut out = Vec::with_capacity(text.len());
    let mut until = None;
    for line in text.split_inclusive('\n') {
        let is_header = header(line).is_some();
        match until {
            Some(Until::Header) if is_header => until = None,
            Some(Until::Text(end)) if line.contains(end) => {
                until = None;
                out.extend(env_file::masked(line.as_bytes()));
                continue;
            }
            Some(Until::Header | Until::Text(_)) => {
                out.extend(env_file::masked(line.as_bytes()));
                continue;
            }
            None => {}
        }
        if header(line) == Some("env") {
            until = Some(Until::Header);
            out.extend(line.as_bytes());
        } else if let Some(value) = assigned_to_env(line) {
            until = goes_on(value);
            let (key, rest) = line.split_at(line.len() - value.len());
            out.extend(key.as_bytes());
            out.extend(env_file::masked(rest.as_bytes()));
        } else {
            out.extend(line.as_bytes());
        }
    }
    out
}

/// How long variables go on.
#[derive(Clone, Copy)]
enum Until {
    Header,
    Text(&'static str),
}

/// The name of the table that begins in this line.
fn header(line: &str) -> Option<&str> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let name = line.strip_prefix('[')?.strip_suffix(']')?.trim_matches(['[', ']']).trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

/// What follows `env.` or `env =` at the beginning of a line.
fn assigned_to_env(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("env")?.trim_start_matches([' ', '\t']);
    rest.strip_prefix('.').or_else(|| rest.strip_prefix('='))
}

/// What ends a value that is not complete in its line.
fn goes_on(value: &str) -> Option<Until> {
    let ends = ["\"\"\"", "'''"].into_iter().find(|quotes| value.matches(quotes).count() == 1);
    let table = || (value.contains('{') && !value.contains('}')).then_some("}");
    ends.or_else(table).map(Until::Text)
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let masked = super::masked(text.as_bytes());
        assert_eq!(String::from_utf8(masked).unwrap(), expected);
    }

    #[test]
    fn options_stay_and_variables_do_not() {
        check("hold = 3\n[env]\nA = \"b\"\n", "hold = 3\n[env]\nA = \"*\"\n");
        check("[ env ] # c\nA = b\n[other]\nc = d\n", "[ env ] # c\nA = *\n[other]\nc = d\n");
        check("env.A = s3cret\nhold = 1", "env.A = ******\nhold = 1");
        check("env = { A = \"b\" }\nhold = 1", "env = * * = \"*\" *\nhold = 1");
        check("env-file = \"x\"\nenvy = 1\n", "env-file = \"x\"\nenvy = 1\n");
    }

    #[test]
    fn values_that_go_on_are_masked_to_their_end() {
        check("env.A = \"\"\"one\ntwo\"\"\"\nhold = 1", "env.A = \"\"\"***\n***\"\"\"\nhold = 1");
        check("env = {\nA = 'b'\n}\nhold = 1", "env = *\nA = '*'\n*\nhold = 1");
        check("[env]\nA = '''\n[\"x\", 1]\n'''\n", "[env]\nA = '''\n*\"*\"* **\n'''\n");
    }
}
