//! Whether words about a run rest on the facts that they were made from.

/// How far a rounded figure may lie from the fact that it rounds.
const HALF: f64 = 0.5 + 1e-9;
/// Whole numbers up to here are words rather than figures.
const SMALL_MAX: f64 = 10.0;

/// The first figure of an answer that stands in none of the facts, not even rounded or in per cent.
pub fn unsupported(answer: &str, facts: &[String]) -> Option<String> {
    let known: Vec<f64> = facts.iter().flat_map(|fact| figures(fact)).map(|(number, _, _)| number).collect();
    let is_known = |number: f64, decimals: i32| {
        let step = 10_f64.powi(-decimals);
        known.iter().any(|fact| {
            (fact.abs() - number).abs() <= HALF * step || (100.0 * fact.abs() - number).abs() <= HALF * step
        })
    };
    figures(answer)
        .into_iter()
        .find(|(number, decimals, _)| {
            let is_small = *decimals == 0 && *number <= SMALL_MAX;
            !is_small && !is_known(*number, *decimals)
        })
        .map(|(_, _, text)| text)
}

/// Figures of a text, with their decimals, as they are written.
fn figures(text: &str) -> Vec<(f64, i32, String)> {
    let mut found = Vec::new();
    let letters: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < letters.len() {
        let is_part_of_name = at > 0 && (letters[at - 1].is_alphanumeric() || letters[at - 1] == '_');
        if !letters[at].is_ascii_digit() || is_part_of_name {
            at += 1;
            continue;
        }
        let start = at;
        let digit_at = |at: usize| letters.get(at).is_some_and(char::is_ascii_digit);
        while digit_at(at) || (at < letters.len() && matches!(letters[at], '.' | ',') && digit_at(at + 1)) {
            at += 1;
        }
        let written: String = letters[start..at].iter().collect();
        let plain = written.replace(',', "");
        if let Ok(number) = plain.parse::<f64>() {
            let decimals = plain.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            found.push((number, decimals as i32, written));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expected: Option<&str>) {
        let facts =
            ["ROC AUC 0.8312 [0.79, 0.87] on 1,250 sealed rows".to_owned(), "12 trials in 45 s".to_owned()];
        assert_eq!(unsupported(answer, &facts).as_deref(), expected, "{answer}");
    }

    #[test]
    fn figures_of_an_answer_stand_in_the_facts() {
        check("About 0.83, between 0.79 and 0.87, on 1,250 rows.", None);
        check("It ranks right in 83 % of cases after 12 trials.", None);
        check("There are 2 reasons, c7 and x12_b among them.", None);
        check("It will reach 0.91 tomorrow.", Some("0.91"));
        check("It took 1250 rows and 99 minutes.", Some("99"));
        check("No figures at all.", None);
    }
}
