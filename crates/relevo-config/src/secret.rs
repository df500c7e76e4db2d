//! Which variables had better not be printed.

/// Words in the names of variables that hold secrets, as far as names tell.
const WORDS: [&str; 13] = [
    "SECRET",
    "TOKEN",
    "PASS",
    "PW",
    "KEY",
    "CREDENTIAL",
    "AUTH",
    "PRIVATE",
    "CERT",
    "SALT",
    "SIGNATURE",
    "COOKIE",
    "DSN",
];

/// Whether a variable looks as if it held a secret: by its name, or because its value is an address
/// with a password in it. Too much is left out rather than too little.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    WORDS.into_iter().any(|word| name.contains(word)) || has_password(value)
}

/// Whether this is like `scheme://user:password@host`.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    // Also behind a slash: people write passwords with slashes, though no proper address has them.
    rest.contains('@')
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn names_and_values_that_give_themselves_away() {
        for (name, value) in [
            ("API_KEY", ""),
            ("apiToken", ""),
            ("DB_PASSWORD", ""),
            ("PGPASS", ""),
            ("DATABASE_URL", "postgres://me:secret@db/x"),
            ("DATABASE_URL", "postgres://me:se/cret@db/x"),
            ("HTTP_PROXY", "http://token@proxy"),
        ] {
            assert!(is_secret(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("PORT", "3000"),
            ("NODE_ENV", "production"),
            ("URL", "http://a.b/c"),
            ("MAIL", "a@b.c"),
        ] {
            assert!(!is_secret(name, value), "{name}={value}");
        }
    }
}
