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
        Intent::Ask(Question::Column(column)) => format!("column {column}"),
        Intent::Ask(Question::NewRows(file)) => format!("rows {}", file.as_deref().unwrap_or("-")),
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

/// Holds a table of sentences and what they mean.
fn check(table: &[(&str, &str)]) {
    let missed: Vec<String> = table
        .iter()
        .filter(|(text, expected)| meant(text) != *expected)
        .map(|(text, expected)| format!("{text}: {} instead of {expected}", meant(text)))
        .collect();
    assert!(missed.is_empty(), "{} were read otherwise:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn questions_are_answered_and_not_carried_out() {
    check(&[
        ("should I drop the age column?", "column age"),
        ("should I drop the age column", "column age"),
        ("what if we leave out fare?", "column fare"),
        ("did you drop the id column?", "column id"),
        ("did you drop Age, Fare and Sex?", "column Age | column Fare | column Sex"),
        ("would it be better without age?", "column age"),
        ("does the model use Age?", "column Age"),
        ("is age used?", "column age"),
        ("is it better without catboost?", "leaderboard"),
        ("how do I drop a column?", "dropped"),
        ("is that enough?", "worth"),
        ("is 10 minutes enough?", "worth"),
        ("when can I submit?", "left"),
        ("should I stop now?", "worth"),
        ("should I stop now or give it 10 more minutes?", "worth"),
        ("should I drop age and submit?", "column age | worth"),
        ("should I drop age and submit now", "column age | worth"),
        ("is it interpretable?", "model"),
        ("can people read it?", "model"),
        ("how fast is it?", "model"),
        ("how small is it?", "model"),
        ("did you use all 10 minutes?", "status"),
        ("what is the AUC?", "sure"),
        ("what's the rmse?", "sure"),
        ("what is the metric?", "task"),
        ("what did you drop? how sure are you?", "dropped | sure"),
        ("what did you drop and how sure are you", "dropped | sure"),
        ("how good is the model, honestly", "sure | courtesy"),
        ("I want to know how sure you are", "sure"),
        ("can you tell me why catboost is best?", "why catboost"),
        ("show me why catboost is best", "why catboost"),
        ("could you show me the leaderboard?", "leaderboard"),
        ("show me the plan and drop age", "plan | drop the column age"),
        ("tell me about the data", "data"),
        ("will you be done soon?", "left"),
        ("would it help to run longer?", "worth"),
        ("which features are useless?", "columns"),
        ("how does it work?", "help"),
    ]);
}

#[test]
fn polite_questions_are_orders() {
    check(&[
        ("can you drop the age column?", "drop the column age"),
        ("could you please use rmsle?", "metric rmsle"),
        ("would you stop now?", "submit"),
        ("can you do it in 10 minutes?", "seconds 600"),
        ("could you make it smaller?", "deliver a single model"),
        ("how about 10 minutes?", "seconds 600"),
        ("I'd like you to drop Age, please", "drop the column Age | courtesy"),
        ("let's stop", "submit"),
        ("can you please not use Age?", "drop the column Age"),
    ]);
}

#[test]
fn what_is_denied_is_not_carried_out() {
    check(&[
        ("don't stop", "status"),
        ("do not stop yet", "status"),
        ("please don\u{2019}t submit yet", "status"),
        ("don't stop and submit", "status | status"),
        ("don't quit", "status"),
        ("that's not enough", "worth"),
        ("it is not good enough, give it ten more minutes", "worth | more 600"),
        ("don't stop and give it ten more minutes", "status | more 600"),
        ("it need not be explainable", "remark it need not be explainable"),
        ("don't drop Age", "column Age"),
        ("don't stop using Age", "column Age"),
        ("the target is not Age", "?the target is not Age"),
        ("use log loss, not accuracy", "metric log_loss | remark not accuracy"),
        ("don't use accuracy", "remark don't use accuracy"),
        ("not yet", "no"),
        ("don't start yet", "no"),
        ("do not predict Age yet", "no"),
        ("don't give it 10 more minutes", "?don't give it 10 more minutes"),
    ]);
}

#[test]
fn what_is_left_out_is_named() {
    check(&[
        ("stop using the zip column", "drop the column zip"),
        ("stop trying catboost", "go on without catboost"),
        ("I don't want an ensemble", "deliver a single model"),
        ("I don't like catboost", "go on without catboost"),
        ("no catboost please", "go on without catboost"),
        ("no idea", "no"),
        ("no wait", "no"),
        ("no use rmsle", "no | metric rmsle"),
        ("my data has no id", "?my data has no id"),
        ("drop a and b", "drop the column a | drop the column b"),
        ("drop x and y", "drop the column x | drop the column y"),
        ("drop a, b and c", "drop the column a | drop the column b | drop the column c"),
        ("don't use Age, Fare and y", "drop the column Age | drop the column Fare | drop the column y"),
        ("skip catboost and the neural networks", "go on without catboost | go on without neural"),
        ("drop age and submit", "drop the column age | submit"),
        ("drop age, yes", "drop the column age | yes"),
        ("drop age, use auc", "drop the column age | metric roc_auc"),
        ("drop the columns: Age, Fare", "drop the column Age | drop the column Fare"),
        ("leave Fare out", "drop the column Fare"),
        ("the Zip column should be dropped", "drop the column Zip"),
        ("drop linear_feet", "drop the column linear_feet"),
        ("drop the Passenger Id column", "drop the column Passenger Id"),
        ("drop 'Passenger Id'", "drop the column Passenger Id"),
        ("try it again without Age", "drop the column Age | again"),
        ("find users without a plan", "?find users without a plan"),
        ("forget it", "?forget it"),
        ("ok stop", "yes | submit"),
        ("yes, give it 20 minutes", "yes | seconds 1200"),
    ]);
}

#[test]
fn a_run_that_is_there_is_asked_about_and_steered() {
    check(&[
        ("give me the best model", "files"),
        ("can I download the model?", "files"),
        ("save the predictions to out.csv", "files"),
        ("predict new.csv", "rows new.csv"),
        ("predict the rows in 'new rows.csv'", "rows new rows.csv"),
        ("can you predict new.csv?", "rows new.csv"),
        ("make predictions for new.csv", "rows new.csv"),
        ("use the model on new.csv", "rows new.csv"),
        ("can I use it on other data?", "rows -"),
        ("how do I predict new rows?", "rows -"),
        ("prefer a smaller model", "deliver a single model"),
        ("just one model", "deliver a single model"),
        ("use a single model", "deliver a single model"),
        ("it has to be small", "deliver a single model"),
        ("it is small", "?it is small"),
        ("the accuracy is bad", "?the accuracy is bad"),
        ("the AUC is 0.8", "?the AUC is 0.8"),
        ("stop training", "submit"),
        ("keep training 10 more minutes", "more 600"),
        ("keep going", "resume latest"),
        ("train the model for 10 minutes", "seconds 600"),
        ("start with catboost", "?start with catboost"),
    ]);
}

#[test]
fn times_are_limits_steps_or_none() {
    check(&[
        ("no more than 10 minutes", "seconds 600"),
        ("no longer than 10 minutes", "seconds 600"),
        ("don't use more than 10 minutes", "seconds 600"),
        ("it must not take longer than 10 minutes", "seconds 600"),
        ("in less than 10 minutes", "seconds 600"),
        ("1 hour and 30 minutes", "seconds 5400"),
        ("1 hour 30 minutes", "seconds 5400"),
        ("5 minutes and 30 seconds, AUC", "seconds 330 | metric roc_auc"),
        ("an hour and a half", "seconds 5400"),
        ("twenty-five minutes", "seconds 1500"),
        ("forty-five minutes", "seconds 2700"),
        ("2 hrs", "seconds 7200"),
        ("1,000 trials", "trials 1000"),
        ("give it more time", "more 300"),
        ("train longer", "more 300"),
        ("another ten minutes", "more 600"),
        ("10 minutes less", "more -600"),
        ("wait a second", "no"),
        ("wait a minute", "no"),
        ("give me a second", "no"),
        ("predict failure within 48 hours", "request -"),
        ("predict failure in d.csv, the next 24 hours", "request d.csv"),
        ("predict whether a second visit follows", "request -"),
    ]);
}

#[test]
fn names_in_quotes_and_several_files_are_read() {
    check(&[
        ("predict y in 'my data.csv', AUC", "request my data.csv | metric roc_auc"),
        ("use \"my data.csv\"", "data my data.csv"),
        ("the target is the price column", "target price"),
        ("the target is House Price", "target House Price"),
        ("target: price", "target price"),
        ("the target is y not x", "target y"),
        ("the target is wrong", "?the target is wrong"),
        ("predict Survived in train.csv and test.csv", "request train.csv"),
        ("use train.csv and test.csv", "data train.csv"),
        ("use test.csv and train.csv", "data train.csv"),
        ("use a/train.csv and b/test.csv", "data a/train.csv | ?b/test.csv"),
        ("predict y in a.csv and b.csv", "request a.csv | ?b.csv"),
        ("use train.csv for 10 minutes", "data train.csv | seconds 600"),
        ("no, predict Age", "no | request -"),
        ("predict latest.csv", "rows latest.csv"),
    ]);
}

#[test]
fn what_a_request_says_beside_it_is_kept() {
    let words = |text: &str| {
        let reading = read(text, &|_| false);
        let requests = reading.intents.iter().filter_map(|intent| match intent {
            Intent::Request { words, .. } => Some(words.clone()),
            _ => None,
        });
        requests.collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        words("predict y in d.csv, one per region, on the GPU, kappa, under 5 MB"),
        "predict y in d.csv, one per region, on the GPU, kappa, under 5 MB"
    );
    check(&[
        ("predict y in d.csv, 2 hrs", "request d.csv | seconds 7200"),
        ("predict y in d.csv, drop a and b", "request d.csv | drop the column a | drop the column b"),
        ("predict y in d.csv without the id column", "request d.csv | drop the column id"),
        ("predict y in d.csv, at least 0.9 AUC", "request d.csv | metric roc_auc | remark at least 0.9 AUC"),
        ("predict y in d.csv, is it clear what I mean?", "request d.csv | ?is it clear what I mean?"),
        ("which customers will churn in d.csv?", "request d.csv"),
        ("detect fraud in d.csv", "request d.csv"),
    ]);
    assert!(says_target("no, predict Age") && says_target("train a model to predict Age"));
    assert!(!says_target("train a model on d.csv") && !says_target("use rmsle"));
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
