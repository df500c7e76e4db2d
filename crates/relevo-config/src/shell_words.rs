//! A line of shell cut into words, as far as that needs no shell.
//!
//! The quoting is that of POSIX, "Shell Command Language", sections 2.2 and 2.3. Whatever a shell
//! would expand, redirect or chain makes the line [`NotSimple`]: guessing at it would start
//! something else than the user's shell does.

/// A simple command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    /// What stands before it, such as `NODE_ENV=production`.
    pub(crate) assignments: Vec<String>,
    /// The command and its arguments.
    pub(crate) words: Vec<String>,
}

/// Why a line is not a simple command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSimple {
    /// A character with a meaning to the shell.
    Operator(char),
    /// A quote that is not closed.
    OpenQuote(char),
}

/// Cuts `line` into a simple command, which is empty for an empty line.
pub(crate) fn split(line: &str) -> Result<Command, NotSimple> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.trim().chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => quoted(&mut chars, c, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                Some('\n') | None => return Err(NotSimple::Operator('\\')),
                Some(c) => word.get_or_insert_default().push(c),
            },
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '*' | '?' | '[' | '\n' => {
                return Err(NotSimple::Operator(c));
            }
            '~' | '#' if word.is_none() => return Err(NotSimple::Operator(c)),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let first = words.iter().position(|word| !is_assignment(word)).unwrap_or(words.len());
    let rest = words.split_off(first);
    Ok(Command { assignments: words, words: rest })
}

/// The words as a user would type them.
pub(crate) fn join<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn quoted(
    chars: &mut std::str::Chars<'_>,
    quote: char,
    word: &mut String,
) -> Result<(), NotSimple> {
    loop {
        match chars.next() {
            None => return Err(NotSimple::OpenQuote(quote)),
            Some(c) if c == quote => return Ok(()),
            Some(c @ ('$' | '`')) if quote == '"' => return Err(NotSimple::Operator(c)),
            Some('\\') if quote == '"' => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                other => {
                    word.push('\\');
                    word.extend(other);
                }
            },
            Some(c) => word.push(c),
        }
    }
}

pub(crate) fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "%+,-./:=@_".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        split(line).unwrap().words
    }

    #[test]
    fn words_are_cut_as_a_shell_does() {
        assert_eq!(words("  node   app.js\t--x "), ["node", "app.js", "--x"]);
        assert_eq!(words(r#"node "a b" 'c "d"' e\ f"#), ["node", "a b", "c \"d\"", "e f"]);
        assert_eq!(words(r#"node --x="a b"'c' """#), ["node", "--x=a bc", ""]);
        assert_eq!(words(r#"node "a\"b\n""#), ["node", "a\"b\\n"]);
        assert_eq!(words("node a#b a~b {a,b} a!"), ["node", "a#b", "a~b", "{a,b}", "a!"]);
        assert_eq!(words(""), [""; 0]);
    }

    #[test]
    fn assignments_stand_apart() {
        let command = split("A=1 B='x y' node C=2").unwrap();
        assert_eq!(command.assignments, ["A=1", "B=x y"]);
        assert_eq!(command.words, ["node", "C=2"]);
        assert_eq!(split("1A=1 node").unwrap().assignments, [""; 0]);
    }

    #[test]
    fn a_shells_work_is_refused() {
        for (line, c) in [
            ("a && b", '&'),
            ("a | b", '|'),
            ("a; b", ';'),
            ("a > b", '>'),
            ("a $B", '$'),
            ("a \"$B\"", '$'),
            ("a `b`", '`'),
            ("a *.js", '*'),
            ("~/a", '~'),
            ("a # b", '#'),
            ("(a)", '('),
            ("a\nb", '\n'),
            ("a \\", '\\'),
        ] {
            assert_eq!(split(line), Err(NotSimple::Operator(c)), "{line}");
        }
        assert_eq!(split("a 'b"), Err(NotSimple::OpenQuote('\'')));
        assert_eq!(split("a \"b"), Err(NotSimple::OpenQuote('"')));
        assert_eq!(words("a '$B' \\$B"), ["a", "$B", "$B"]);
    }

    #[test]
    fn joining_is_the_reverse() {
        let line = join(["node", "a b", "it's", "", "$X", "--y=1"]);
        assert_eq!(line, r"node 'a b' 'it'\''s' '' '$X' --y=1");
        assert_eq!(words(&line), ["node", "a b", "it's", "", "$X", "--y=1"]);
    }
}
