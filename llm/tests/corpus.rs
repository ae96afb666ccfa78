//! Replies as models really write them: eight whole ones, mutated in the ways of models (which must be understood, and
//! understood rightly), in ways that spoil them (which must be noticed), and at random (which must not panic).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![allow(clippy::too_many_lines, reason = "a list of ways is one list")]

use ansatz_core::seed::Seed;
use ansatz_llm::{code_files, extract, understand};
use ansatz_prompts::{Reply, data, hpo, planner, schema_of, verifier};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Whether a text is understood as the same value as the original, and the problems if not understood.
type Check = Box<dyn Fn(&str) -> Result<bool, Vec<String>>>;

fn entry<T: Reply + Serialize + DeserializeOwned + PartialEq + 'static>(
    name: &'static str,
    text: &'static str,
) -> (&'static str, &'static str, Check) {
    let schema = schema_of::<T>();
    let (original, _) =
        understand::<T>(text, &schema).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
    let check = move |text: &str| understand::<T>(text, &schema).map(|(value, _)| value == original);
    (name, text, Box::new(check))
}

fn corpus() -> Vec<(&'static str, &'static str, Check)> {
    vec![
        entry::<planner::PlanIdeas>("plans", include_str!("replies/plans.json")),
        entry::<planner::Understanding>("understanding", include_str!("replies/understanding.json")),
        entry::<planner::Replanned>("replanned", include_str!("replies/replanned.json")),
        entry::<data::Assessment>("assessment", include_str!("replies/assessment.json")),
        entry::<hpo::SpaceAdvice>("space", include_str!("replies/space.json")),
        entry::<hpo::WarmStarts>("warm starts", include_str!("replies/warm_starts.json")),
        entry::<hpo::PredictedScores>("predictions", include_str!("replies/predictions.json")),
        entry::<verifier::Reading>("reading", include_str!("replies/reading.json")),
    ]
}

/// Changes a JSON value at every place.
fn everywhere(value: &mut Value, change: &impl Fn(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| everywhere(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| everywhere(field, change)),
        _ => {}
    }
    change(value);
}

fn changed(text: &str, change: impl Fn(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap();
    everywhere(&mut value, &change);
    value.to_string()
}

/// JSON as Python prints it.
fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Array(items) => format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("'{name}': {}", python(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        number => number.to_string(),
    }
}

/// The ways of models.
fn ways(text: &str) -> Vec<(&'static str, String)> {
    let parsed: Value = serde_json::from_str(text).unwrap();
    let compact = parsed.to_string();
    let pretty = serde_json::to_string_pretty(&parsed).unwrap();
    let renamed = |rename: &dyn Fn(&str) -> String| {
        changed(text, |value| {
            if let Value::Object(fields) = value {
                *fields =
                    std::mem::take(fields).into_iter().map(|(name, value)| (rename(&name), value)).collect();
            }
        })
    };
    let camel = |name: &str| {
        let mut parts = name.split('_');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |name, part| name + &part[..1].to_uppercase() + &part[1..])
    };
    let last = |text: &str, cut: usize| text[..text.len() - cut].to_owned();
    vec![
        ("as it is", text.to_owned()),
        ("compact", compact.clone()),
        ("indented", pretty.clone()),
        ("fenced", format!("```json\n{text}\n```")),
        ("fenced without language", format!("```\n{text}\n```")),
        ("fence never closed", format!("```json\n{text}")),
        ("fence in capitals", format!("```JSON\n{text}\n```")),
        ("words before", format!("Sure! Here is the JSON object you asked for:\n\n{text}")),
        ("words after", format!("{text}\n\nLet me know if you want me to change anything.")),
        (
            "words around a fence",
            format!("I looked at the data.\n\n```json\n{text}\n```\n\nThe first plan is my favourite."),
        ),
        (
            "words with braces",
            format!("Using the form {{...}} as asked, with {{\"a\": 1}} as an example of JSON:\n{compact}"),
        ),
        ("thinking left in", format!("Let me think: {{maybe}} this.\n\n{text}")),
        ("answered twice", format!("```json\n{text}\n```\nAgain:\n```json\n{text}\n```")),
        ("byte order mark", format!("\u{feff}{text}")),
        ("trailing commas", pretty.replace("\"\n", "\",\n").replace("}\n", "},\n").replace("]\n", "],\n")),
        ("commented", pretty.replacen('{', "{ // the answer\n", 1).replacen(": [", ": [ /* a list */", 1)),
        ("Python", python(&parsed)),
        ("Python in a fence", format!("```python\n{}\n```", python(&parsed))),
        ("bare names", {
            let mut bare = compact.clone();
            for name in names(&parsed) {
                bare = bare.replace(&format!("\"{name}\":"), &format!("{name}: "));
            }
            bare
        }),
        ("curly quotes for names", {
            let mut curly = compact.clone();
            for name in names(&parsed) {
                curly = curly.replace(&format!("\"{name}\":"), &format!("“{name}”: "));
            }
            curly
        }),
        ("last brace forgotten", last(compact.trim_end(), 1)),
        ("one brace too many", format!("{compact}}}")),
        ("semicolon at the end", format!("{compact};")),
        ("in a list", format!("[{compact}]")),
        ("wrapped", json!({ "answer": parsed }).to_string()),
        ("wrapped as text", json!({ "result": parsed.clone() }).to_string()),
        (
            "fields added",
            changed(text, |value| {
                if let Value::Object(fields) = value {
                    fields.insert("notes".into(), json!("none"));
                }
            }),
        ),
        (
            "numbers as text",
            changed(text, |value| {
                // Values of parameters may be text or number, so only those are left as they are.
                if let Value::Object(fields) = value {
                    for (name, field) in fields.iter_mut() {
                        if field.is_number() && !["value", "best_guess"].contains(&name.as_str()) {
                            *field = field.to_string().into();
                        }
                    }
                }
            }),
        ),
        ("camel case", renamed(&camel)),
        ("capitals", renamed(&|name: &str| name[..1].to_uppercase() + &name[1..])),
        ("hyphens", renamed(&|name: &str| name.replace('_', "-"))),
        ("spaces", renamed(&|name: &str| name.replace('_', " "))),
        ("escaped underscores", {
            let mut escaped = compact.clone();
            for name in names(&parsed).into_iter().filter(|name| name.contains('_')) {
                escaped =
                    escaped.replace(&format!("\"{name}\":"), &format!("\"{}\":", name.replace('_', "\\_")));
            }
            escaped
        }),
        (
            "constants in capitals",
            changed(text, |value| {
                if let Value::Object(fields) = value {
                    for name in ["kind", "decision", "treat", "action", "severity", "problem"] {
                        if let Some(Value::String(text)) = fields.get_mut(name) {
                            *text = text.to_uppercase();
                        }
                    }
                }
            }),
        ),
        ("nulls as words", compact.replace(":null", ":\"null\"")),
        ("line ends of another system", pretty.replace('\n', "\r\n")),
        ("tabs", pretty.replace("  ", "\t")),
        ("emphasised", format!("**Answer:**\n\n{text}\n\n---\n*End of answer*")),
        (
            "a list of one as the thing itself",
            changed(text, |value| {
                if let Value::Object(fields) = value {
                    for field in fields.values_mut() {
                        if let Value::Array(items) = field
                            && items.len() == 1
                            && items[0].is_object()
                        {
                            *field = items.remove(0);
                        }
                    }
                }
            }),
        ),
        ("quoted as a block", format!("> Here it is\n\n{compact}\n")),
        ("zero width space", format!("\u{200b}{compact}")),
    ]
}

fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| std::iter::once(name.clone()).chain(names(value)))
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_ways_of_models_are_understood_rightly() {
    let (mut all, mut good) = (0, 0);
    for (name, text, check) in corpus() {
        for (way, mutated) in ways(text) {
            all += 1;
            match check(&mutated) {
                Ok(true) => good += 1,
                Ok(false) => println!("{name}, {way}: understood otherwise"),
                Err(problems) => println!("{name}, {way}: {problems:?}"),
            }
        }
    }
    println!("{good} of {all} understood rightly");
    assert!(all >= 300, "{all}");
    assert!(f64::from(good) >= 0.99 * f64::from(all), "{good} of {all}");
}

#[test]
fn what_is_spoilt_is_noticed() {
    let refused = |name: &str, mutated: &str| {
        let (_, _, check) = corpus().into_iter().find(|(known, ..)| *known == name).unwrap();
        check(mutated).expect_err(mutated).join("; ")
    };
    let of = |name: &str| corpus().into_iter().find(|(known, ..)| *known == name).unwrap().1;
    let without = |name: &str, field: &str| {
        let mut value: Value = serde_json::from_str(of(name)).unwrap();
        value.as_object_mut().unwrap().remove(field);
        value.to_string()
    };
    assert_eq!(refused("plans", &without("plans", "plans")), "`plans` is missing");
    assert_eq!(refused("replanned", &without("replanned", "drop")), "`drop` is missing");
    let doubtful = of("understanding").replace("0.93", "93");
    assert_eq!(refused("understanding", &doubtful), "`confidence` must be from 0 to 1, not 93");
    let kind = of("replanned").replace("\"new_features\"", "\"maybe\"");
    assert!(refused("replanned", &kind).contains("must be one of"));
    assert_eq!(
        refused("plans", "{\"observations\": [], \"plans\": []}"),
        "`plans` needs at least 1 entries, not 0"
    );
    for words in [
        "",
        "I'm sorry, but I can't help with that.",
        "Sure! Here is the plan you asked for: {not json",
        "null",
        "[]",
    ] {
        assert!(!refused("plans", words).is_empty());
    }
}

#[test]
fn a_reply_cut_anywhere_is_never_taken_for_another() {
    for (name, text, check) in corpus() {
        let whole: Value = serde_json::from_str(text).unwrap();
        let compact = whole.to_string();
        let cuts = (1..compact.len()).step_by(7).filter(|cut| compact.is_char_boundary(*cut));
        for cut in cuts {
            // One brace may be missing, so that what comes last and may be absent can be lost; nothing else.
            match check(&compact[..cut]) {
                Ok(true) | Err(_) => {}
                Ok(false) => assert!(
                    cut * 5 > compact.len() * 4,
                    "{name} understood after {cut} of {} letters",
                    compact.len()
                ),
            }
        }
    }
}

#[test]
fn mutations_at_random_never_panic() {
    let rounds = if std::env::var_os("ANSATZ_SOAK").is_some() { 20_000 } else { 300 };
    for (name, text, check) in corpus() {
        let letters: Vec<char> = text.chars().collect();
        for round in 0..rounds {
            let mut mutated = letters.clone();
            let mut chance = Seed(round).derive(name).0;
            let mut next = |below: usize| {
                chance =
                    chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (chance >> 33) as usize % below.max(1)
            };
            for _ in 0..=next(6) {
                let at = next(mutated.len());
                match next(5) {
                    0 => drop(mutated.remove(at)),
                    1 => mutated.insert(
                        at,
                        ['{', '}', '[', ']', '"', '\\', ',', ':', '\'', '`', '\u{0}', '😀'][next(12)],
                    ),
                    2 => mutated.truncate(at.max(1)),
                    3 => mutated[at] = char::from(next(128) as u8),
                    _ => {
                        let piece: Vec<char> = mutated[at..(at + 20).min(mutated.len())].to_vec();
                        let to = next(mutated.len());
                        mutated.splice(to..to, piece);
                    }
                }
                if mutated.is_empty() {
                    break;
                }
            }
            let mutated: String = mutated.into_iter().collect();
            let _ = check(&mutated);
            let _ = extract(&mutated);
            let _ = code_files(&mutated, "solution.py");
        }
    }
}
