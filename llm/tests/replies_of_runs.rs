//! Three hundred replies: those of recorded runs, spoilt in the ways of models, one or two ways at a time and by a fixed
//! seed. What is whole must be understood rightly at once; what was cut must be mended by asking again; nothing may panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use ansatz_core::seed::Seed;
use ansatz_llm::{Ask, Message, Role, Scripted, Want, code_files, read, silent, understand};
use ansatz_prompts::{Reply, data, planner, schema_of, verifier};
use serde::de::DeserializeOwned;
use serde_json::Value;

const COUNT: u64 = 300;

/// Replies that were given in real runs.
const RUNS: [&str; 5] = [
    include_str!("../../benches/minds/bike-demand.jsonl"),
    include_str!("../../benches/minds/house-prices.jsonl"),
    include_str!("../../benches/minds/shelter-outcomes.jsonl"),
    include_str!("../../benches/minds/titanic.jsonl"),
    include_str!("../../tests/cassettes/gym-members/replies.jsonl"),
];

/// What a reply has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plans,
    Assessment,
    Reading,
    Replanned,
    Understanding,
    Code,
}

fn replies() -> Vec<(Form, String)> {
    let lines = RUNS.iter().flat_map(|run| run.lines()).filter(|line| !line.trim().is_empty());
    let mut replies: Vec<(Form, String)> = lines
        .filter_map(|line| {
            let value: Value = serde_json::from_str(line).unwrap();
            let (asked, reply) = (value["match"].as_str()?, value["reply"].as_str()?.to_owned());
            let form = match asked {
                "# Your part: plan" => Form::Plans,
                "# Your part: read the data card" => Form::Assessment,
                "# Your part: read the evidence" => Form::Reading,
                "# Your part: look again at the plan" => Form::Replanned,
                _ => Form::Code,
            };
            (form != Form::Code || reply.contains("```")).then_some((form, reply))
        })
        .collect();
    replies.push((Form::Understanding, include_str!("replies/understanding.json").to_owned()));
    replies
}

/// Numbers below a bound, from a seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }
}

/// Ways in which JSON itself comes differently.
fn inner(text: &str, way: usize) -> (&'static str, String) {
    let value: Value = serde_json::from_str(text).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    match way {
        0 => ("as it is", text.to_owned()),
        1 => {
            ("trailing commas", pretty.replace("\"\n", "\",\n").replace("}\n", "},\n").replace("]\n", "],\n"))
        }
        2 => ("single quotes", single_quotes(&value)),
        3 => (
            "commented",
            pretty.replacen('{', "{ // as asked\n", 1).replacen(": [", ": [ /* all of them */", 1),
        ),
        4 => ("doubled braces", text.replace('{', "{{").replace('}', "}}")),
        5 => (
            "HTML-escaped",
            text.replace('&', "&amp;")
                .replace('"', "&quot;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('\'', "&#39;"),
        ),
        6 => ("other line ends", pretty.replace('\n', "\r\n")),
        7 => ("tabs", pretty.replace("  ", "\t")),
        8 => ("last brace forgotten", value.to_string().strip_suffix('}').unwrap().to_owned()),
        _ => ("indented", pretty),
    }
}

/// JSON with the quotes of Python.
fn single_quotes(value: &Value) -> String {
    match value {
        Value::String(text) => {
            format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(single_quotes).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, field)| format!("'{name}': {}", single_quotes(field)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Ways in which a whole reply is wrapped.
fn outer(text: &str, is_code: bool, way: usize) -> (&'static str, String) {
    let fenced = if is_code { text.to_owned() } else { format!("```json\n{text}\n```") };
    match way {
        0 => ("bare", text.to_owned()),
        1 => ("fenced", fenced),
        2 if is_code => ("fenced with tildes", text.replace("```", "~~~")),
        2 => ("fenced without language", format!("```\n{text}\n```")),
        3 => ("words around", format!("Sure! Here it is:\n\n{fenced}\n\nLet me know if you want changes.")),
        4 => (
            "thinking before",
            format!("<think>\nWell: {{\"plans\": []}} would be too short.\n</think>\n{text}"),
        ),
        5 => (
            "thinking with a draft",
            format!("<thinking>First I try ```json\n{{\"a\": 1}}\n``` but no.</thinking>\n\n{fenced}"),
        ),
        6 => ("byte order mark", format!("\u{feff}{text}")),
        7 => ("answered in capitals", format!("FINAL ANSWER:\n{fenced}\nEND")),
        8 if is_code => ("fence never closed", text.trim_end().trim_end_matches('`').to_owned()),
        8 => ("fence never closed", format!("```json\n{text}")),
        9 if is_code => ("other line ends", text.replace('\n', "\r\n")),
        9 => ("in a list", format!("[{text}]")),
        _ => ("emphasised", format!("**Answer:**\n\n{fenced}\n\n---\n*End of answer*")),
    }
}

/// Whether a text is understood at once as what the original is.
fn same<T: Reply + DeserializeOwned + PartialEq>(original: &str, mutated: &str) -> Result<bool, Vec<String>> {
    let schema = schema_of::<T>();
    let (wanted, _) = understand::<T>(original, &schema).unwrap();
    understand::<T>(mutated, &schema).map(|(found, _)| found == wanted)
}

/// Whether a spoilt reply, then the whole one, comes to what the original is.
async fn mended<T: Reply + DeserializeOwned + PartialEq>(original: &str, mutated: &str) -> bool {
    let schema = schema_of::<T>();
    let (wanted, _) = understand::<T>(original, &schema).unwrap();
    let model = Scripted::saying([mutated, original]);
    let ask = Ask {
        messages: vec![Message::new(Role::User, "?")],
        want: Want::Json { name: T::NAME.into(), schema },
        tokens_max: 100,
        ..Ask::default()
    };
    read::<T>(&model, &ask, &mut silent(), &|_| Vec::new()).await.is_ok_and(|found| found.value == wanted)
}

fn same_code(original: &str, mutated: &str) -> Result<bool, Vec<String>> {
    let contents = |text: &str| {
        code_files(text, "solution.py")
            .map(|files| files.into_iter().map(|file| file.content).collect::<Vec<_>>())
    };
    let wanted = contents(original).unwrap();
    contents(mutated).map(|found| found == wanted).map_err(|problem| vec![problem.to_string()])
}

fn at_once(form: Form, original: &str, mutated: &str) -> Result<bool, Vec<String>> {
    match form {
        Form::Plans => same::<planner::PlanIdeas>(original, mutated),
        Form::Assessment => same::<data::Assessment>(original, mutated),
        Form::Reading => same::<verifier::Reading>(original, mutated),
        Form::Replanned => same::<planner::Replanned>(original, mutated),
        Form::Understanding => same::<planner::Understanding>(original, mutated),
        Form::Code => same_code(original, mutated),
    }
}

async fn after_repair(form: Form, original: &str, mutated: &str) -> bool {
    match form {
        Form::Plans => mended::<planner::PlanIdeas>(original, mutated).await,
        Form::Assessment => mended::<data::Assessment>(original, mutated).await,
        Form::Reading => mended::<verifier::Reading>(original, mutated).await,
        Form::Replanned => mended::<planner::Replanned>(original, mutated).await,
        Form::Understanding => mended::<planner::Understanding>(original, mutated).await,
        // Code that is cut is asked for again as well; here it only must not be taken for the whole.
        Form::Code => true,
    }
}

#[tokio::test]
async fn three_hundred_replies_are_understood() {
    let replies = replies();
    assert!(replies.len() >= 20, "{}", replies.len());
    let (mut whole, mut understood, mut cut, mut repaired) = (0, 0, 0, 0);
    for number in 0..COUNT {
        let mut chance = Chance(Seed(number).derive("replies of runs").0);
        let (form, original) = &replies[chance.next(replies.len())];
        let is_code = *form == Form::Code;
        let (of, text) =
            if is_code { ("as it is", original.clone()) } else { inner(original, chance.next(10)) };
        let (wrapped, mut mutated) = outer(&text, is_code, chance.next(11));
        // One in ten ends too early.
        if number % 10 == 9 {
            let letters = mutated.chars().count();
            mutated = mutated.chars().take(letters / 4 + chance.next(letters / 2)).collect();
            cut += 1;
            repaired += usize::from(after_repair(*form, original, &mutated).await);
            let _ = at_once(*form, original, &mutated);
            continue;
        }
        whole += 1;
        match at_once(*form, original, &mutated) {
            Ok(true) => understood += 1,
            Ok(false) => println!("{form:?}, {of}, {wrapped}: understood otherwise"),
            Err(problems) => println!("{form:?}, {of}, {wrapped}: {problems:?}"),
        }
    }
    let share = 100.0 * f64::from(understood) / f64::from(whole);
    println!(
        "{understood} of {whole} whole replies understood at once ({share:.1} %); {repaired} of {cut} cut ones mended"
    );
    println!("{:.1} % of {COUNT} handled", 100.0 * (f64::from(understood) + repaired as f64) / COUNT as f64);
    assert!(
        f64::from(understood) + repaired as f64 >= 0.99 * COUNT as f64,
        "{understood} + {repaired} of {COUNT}"
    );
}
