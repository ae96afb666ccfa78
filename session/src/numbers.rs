//! Numbers in words, made into figures: "half an hour" becomes "30 minutes".

/// Words and what they count.
const WORDS: &[(&str, &str)] = &[
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("twelve", "12"),
    ("fifteen", "15"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("sixty", "60"),
    ("ninety", "90"),
];

/// Phrases that mean a span of time.
const SPANS: &[(&str, &str)] = &[
    ("half an hour", "30 minutes"),
    ("half hour", "30 minutes"),
    ("quarter of an hour", "15 minutes"),
    ("an hour and a half", "90 minutes"),
    ("an hour", "60 minutes"),
    ("half a minute", "30 seconds"),
    ("a minute", "1 minute"),
    ("a couple of minutes", "2 minutes"),
    ("a couple minutes", "2 minutes"),
    ("a few minutes", "3 minutes"),
    ("a couple of hours", "120 minutes"),
];

/// Units that a number word must stand before to be made a figure: "one" is often no number.
const UNITS: &[&str] = &["second", "minute", "min", "hour", "trial", "more", "sec"];

/// The text in small letters with its spans of time in figures.
pub fn figured(text: &str) -> String {
    let mut text = format!(" {} ", text.to_lowercase());
    for (phrase, span) in SPANS {
        text = text.replace(&format!(" {phrase}"), &format!(" {span}"));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut made: Vec<&str> = Vec::with_capacity(words.len());
    for (at, word) in words.iter().enumerate() {
        let counts = words.get(at + 1).is_some_and(|next| UNITS.iter().any(|unit| next.starts_with(unit)));
        let figure = WORDS.iter().find(|(name, _)| name == word).filter(|_| counts);
        made.push(figure.map_or(word, |(_, figure)| figure));
    }
    made.join(" ")
}

#[cfg(test)]
mod tests {
    use super::figured;

    #[test]
    fn spans_become_figures_and_other_words_stay() {
        assert_eq!(figured("Five minutes, AUC"), "5 minutes, auc");
        assert_eq!(figured("take half an hour"), "take 30 minutes");
        assert_eq!(figured("the one with two columns"), "the one with two columns");
        assert_eq!(figured("give it ten more minutes"), "give it 10 more minutes");
    }
}
