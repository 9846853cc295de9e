//! The word that was probably meant, for "did you mean".

/// The word among `valid` that is written most like `written`, if one is near enough to be meant and is not the same. Case
/// does not count. One letter may be wrong, and one more for each four letters of the shorter word; of words that are
/// equally near the first is taken.
pub fn nearest<'a>(written: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    let length = written.chars().count();
    let near = |word: &'a str| {
        let tolerance = 1 + word.chars().count().min(length) / 4;
        // Words of another length are so many letters away at least, which is known without comparing them.
        if word == written || word.chars().count().abs_diff(length) > tolerance {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&lower, &word.to_lowercase());
        (distance <= tolerance).then_some((distance, word))
    };
    valid.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        let rows = [
            ("ngnix", Some("nginx")),
            ("Nginx", Some("nginx")),
            ("nginx", None),
            ("wbe", Some("web")),
            ("w", None),
            ("postgres-headles", Some("postgres-headless")),
            ("pstgrs-hedless", Some("postgres-headless")),
            ("something-else", None),
            ("", None),
        ];
        for (written, expected) in rows {
            assert_eq!(nearest(written, ["nginx", "web", "postgres-headless"]), expected, "{written}");
        }
    }
}
