//! The nearest name: what a person probably meant when a name does not exist.

/// The candidate nearest to `wanted` by edit distance without regard to case, when it is near enough to be a slip:
/// at most a third of the letters, and at least two may differ.
pub(crate) fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = squash(wanted);
    let allowed = (wanted.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, &squash(candidate)), candidate))
        .filter(|(far, candidate)| *far <= allowed && *far < candidate.chars().count())
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// A name without case, spaces and punctuation: how people write column names in a sentence.
pub(crate) fn squash(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, expected: Option<&str>) {
        assert_eq!(nearest(wanted, ["RentPrice", "YearBuilt", "roc_auc", "id"]), expected, "{wanted}");
    }

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        check("RentsPrice", Some("RentPrice"));
        check("rentprice", Some("RentPrice"));
        check("rent_price", Some("RentPrice"));
        check("year_buld", Some("YearBuilt"));
        check("rocauc", Some("roc_auc"));
        check("Temperature", None);
        check("xy", None);
    }
}
