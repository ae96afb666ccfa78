//! Forty ordinary sentences and what they mean. They were written before the rules, different in kind.

use super::*;
use proptest::prelude::*;

/// The first thing that is meant, in a few words; everything that was not understood behind it.
fn meant(text: &str) -> String {
    let reading = read(text, &|word| word == "titanic" || word == "houses");
    let shown: Vec<String> = reading.intents.iter().map(shown).collect();
    let missed = reading.not_understood.iter().map(|part| format!("?{part}"));
    shown.into_iter().chain(missed).collect::<Vec<_>>().join(" | ")
}

fn shown(intent: &Intent) -> String {
    match intent {
        Intent::Request { data, .. } => format!("request {}", data.as_deref().unwrap_or("-")),
        Intent::Amend(Amend::Data(data)) => format!("data {data}"),
        Intent::Amend(Amend::Target(target)) => format!("target {target}"),
        Intent::Amend(Amend::Metric(metric)) => format!("metric {metric}"),
        Intent::Amend(Amend::Seconds(seconds)) => format!("seconds {seconds}"),
        Intent::Amend(Amend::MoreSeconds(seconds)) => format!("more {seconds}"),
        Intent::Amend(Amend::Trials(trials)) => format!("trials {trials}"),
        Intent::Amend(Amend::Steer(steer)) => steer.to_string(),
        Intent::Remark(words) => format!("remark {words}"),
        Intent::Approve => "yes".into(),
        Intent::Refuse => "no".into(),
        Intent::Ask(Question::Why(subject)) => format!("why {subject}"),
        Intent::Ask(question) => format!("{question:?}").to_lowercase(),
        Intent::Again(None) => "again".into(),
        Intent::Again(Some(amend)) => format!("again {}", shown(&Intent::Amend(amend.clone()))),
        Intent::Submit => "submit".into(),
        Intent::Resume(run) => format!("resume {}", run.as_deref().unwrap_or("latest")),
        Intent::Help => "help".into(),
        Intent::Courtesy => "courtesy".into(),
        Intent::Quit => "quit".into(),
    }
}

const SENTENCES: &[(&str, &str)] = &[
    ("predict churn in data.csv, AUC, five minutes", "request data.csv | metric roc_auc | seconds 300"),
    ("Predict SalePrice from houses", "request houses"),
    ("I have customers.tsv and I want to know who will leave", "data customers.tsv | request -"),
    ("train a model on titanic", "request titanic"),
    ("can you forecast demand with sales.parquet?", "request sales.parquet"),
    ("classify the tickets in tickets.csv, use macro F1", "request tickets.csv | metric f1_macro"),
    ("the data is in houses", "data houses"),
    ("the target is Survived", "target Survived"),
    ("predict price instead", "target price"),
    ("use rmsle", "metric rmsle"),
    ("score it by log loss please", "metric log_loss"),
    ("Optimise for average precision", "metric average_precision"),
    ("10 minutes instead", "seconds 600"),
    ("take half an hour", "seconds 1800"),
    ("give it five more minutes", "more 300"),
    ("use 50 trials", "trials 50"),
    ("yes, go ahead", "yes | yes"),
    ("sounds good", "yes"),
    ("no, wait", "no | no"),
    ("without catboost", "go on without catboost"),
    ("skip the neural network", "go on without neural"),
    ("drop the id column", "drop the column id"),
    ("don't use Zip_Code", "drop the column Zip_Code"),
    ("ignore customer_id", "drop the column customer_id"),
    ("prefer something small", "deliver a single model"),
    ("I need a model that people can read", "request -"),
    ("make it interpretable", "deliver a readable model"),
    ("what's the plan?", "plan"),
    ("how is it going?", "status"),
    ("what's the best so far", "best"),
    ("show me the leaderboard", "leaderboard"),
    ("what would it cost?", "cost"),
    ("how much have you spent", "cost"),
    ("why is catboost best?", "why catboost"),
    ("why did you drop exit_interview?", "why exit_interview"),
    ("give me the submission", "files"),
    ("that's enough, stop", "submit | submit"),
    ("stop tuning and submit", "submit | submit"),
    ("carry on where we stopped", "resume latest"),
    ("thanks, bye", "courtesy | quit"),
];

#[test]
fn ordinary_sentences_are_understood() {
    let missed: Vec<String> = SENTENCES
        .iter()
        .filter(|(text, expected)| meant(text) != *expected)
        .map(|(text, expected)| format!("{text}: {} instead of {expected}", meant(text)))
        .collect();
    assert_eq!(SENTENCES.len(), 40);
    assert!(missed.len() <= 4, "{} of 40 were read otherwise:\n{}", missed.len(), missed.join("\n"));
    println!("{} of 40 understood", 40 - missed.len());
}

/// Questions about a run, and which of them each is.
const QUESTIONS: &[(&str, &str)] = &[
    ("what did you drop?", "dropped"),
    ("which columns did you ignore?", "dropped"),
    ("are there any leaks?", "dropped"),
    ("what was left out and why", "dropped | why result"),
    ("why that model?", "why result"),
    ("why did you choose catboost?", "why catboost"),
    ("which columns matter?", "columns"),
    ("what are the most important features?", "columns"),
    ("which variables drive the prediction?", "columns"),
    ("how sure are you?", "sure"),
    ("can I trust this score?", "sure"),
    ("how accurate will it be on new data?", "sure"),
    ("is it overfitted?", "sure"),
    ("how long still?", "left"),
    ("how much longer will it take?", "left"),
    ("when will you be done?", "left"),
    ("how much time is left?", "left"),
    ("what does it cost?", "cost"),
    ("how many tokens did you use so far?", "cost"),
    ("show me the predictions", "predictions"),
    ("can I see the first rows of the predictions?", "predictions"),
    ("try again with more time", "again more 300"),
    ("run it again with 10 minutes", "again seconds 600"),
    ("once more please", "again"),
    ("what is wrong with my data?", "data"),
    ("are there problems in the file?", "data"),
    ("is it better than guessing?", "gain"),
    ("how does it compare to the baseline?", "gain"),
    ("would more time help?", "worth"),
    ("is it worth going on?", "worth"),
    ("what is the target?", "task"),
    ("what are you predicting?", "task"),
    ("which model is winning?", "best"),
    ("where is the report?", "files"),
];

#[test]
fn questions_about_a_run_are_understood() {
    let missed: Vec<String> = QUESTIONS
        .iter()
        .filter(|(text, expected)| meant(text) != *expected)
        .map(|(text, expected)| format!("{text}: {} instead of {expected}", meant(text)))
        .collect();
    assert!(QUESTIONS.len() >= 25);
    assert!(
        missed.is_empty(),
        "{} of {} were read otherwise:\n{}",
        missed.len(),
        QUESTIONS.len(),
        missed.join("\n")
    );
    println!("{} of {} understood", QUESTIONS.len() - missed.len(), QUESTIONS.len());
}

#[test]
fn data_may_lie_elsewhere() {
    for (text, expected) in [
        ("predict class in openml:31, AUC", "request openml:31 | metric roc_auc"),
        ("the data are at https://Example.org/Data/churn?v=1", "data https://Example.org/Data/churn?v=1"),
        ("train a model on hf:owner/Name", "request hf:owner/Name"),
    ] {
        assert_eq!(meant(text), expected, "{text}");
    }
}

#[test]
fn a_folder_with_an_ordinary_name_is_no_data_by_itself() {
    let reading =
        read("train a model on the data in data.csv", &|word| ["data", "model", "train"].contains(&word));
    assert_eq!(reading.intents.iter().map(shown).collect::<Vec<_>>(), ["request data.csv"]);
}

#[test]
fn what_is_not_understood_is_said() {
    assert_eq!(meant("the weather is lovely"), "?the weather is lovely");
    assert_eq!(meant("purple elephants, use rmsle"), "metric rmsle | ?purple elephants");
}

#[test]
fn words_that_only_sound_like_commands_are_none() {
    assert_eq!(meant("find the members that quit"), "?find the members that quit");
    assert_eq!(meant("small enough for a phone"), "deliver a single model | remark small enough for a phone");
}

#[test]
fn column_names_keep_their_letters() {
    assert_eq!(meant("the target is `MedHouseVal`"), "target MedHouseVal");
    assert_eq!(meant("leave out Ticket"), "drop the column Ticket");
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
        let reading = read(&text, &|_| false);
        let words = text.split_whitespace().any(|word| word.chars().any(char::is_alphanumeric));
        prop_assert!(!words || !reading.intents.is_empty() || !reading.not_understood.is_empty());
    }
}
