//! What somebody may have meant by a name that is not known.

/// Below this two words are not alike enough (0 to 1, by Jaro and Winkler), as on the command line.
const ALIKE: f64 = 0.8;

/// The name that is most like this one, if one is.
pub fn similar<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Names are short, and the comparison takes the product of both lengths.
    let written: String = written.chars().take(64).collect();
    let likeness = known.map(|name| (name, strsim::jaro_winkler(name, &written)));
    let alike = likeness.filter(|(_, likeness)| *likeness > ALIKE);
    alike.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::similar;

    #[test]
    fn the_most_alike_is_found_or_nothing() {
        let known = ["www-data", "nobody", "daemon"];
        assert_eq!(similar("wwwdata", known.into_iter()), Some("www-data"));
        assert_eq!(similar("nobdy", known.into_iter()), Some("nobody"));
        assert_eq!(similar("xyz", known.into_iter()), None);
    }
}
