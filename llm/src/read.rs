//! A typed reply: asked for, found in the answer, made to fit, checked, and repaired by asking again at most twice.

use crate::error::{LlmError, LlmErrorKind};
use crate::fit::fit;
use crate::json::extract;
use crate::model::{Answer, Ask, ChatModel, Message, OnText, Role, Want};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Turns of repair.
const REPAIRS_MAX: u32 = 2;

/// Letters of an unreadable answer that are shown to the model again.
const QUOTED_MAX: usize = 4000;

/// A reply that was understood.
#[derive(Debug)]
pub struct Readable<T> {
    /// What it means.
    pub value: T,
    /// The last answer; its usage holds that of all turns.
    pub answer: Answer,
    /// What was mended.
    pub notes: Vec<String>,
    /// Turns of repair that were needed.
    pub repairs: u32,
}

/// Understands the text of an answer.
///
/// # Errors
/// What does not fit, in words that a model can act on.
pub fn understand<T: DeserializeOwned>(text: &str, schema: &Value) -> Result<(T, Vec<String>), Vec<String>> {
    let mut problems: Option<Vec<String>> = None;
    for value in extract(text) {
        let found = match fit(value, schema) {
            Ok((value, notes)) => match serde_json::from_value(value) {
                Ok(value) => return Ok((value, notes)),
                Err(error) => vec![error.to_string()],
            },
            Err(found) => found,
        };
        // The piece with the fewest problems is the one that was meant.
        if problems.as_ref().is_none_or(|known| found.len() < known.len()) {
            problems = Some(found);
        }
    }
    Err(problems.unwrap_or_else(|| vec!["there is no JSON object in the answer".into()]))
}

/// Asks for a typed reply. `check` finds what a schema cannot say; its problems are repaired like the others.
///
/// # Errors
/// [`LlmError`]; `Unreadable` when repairs did not help.
pub async fn read<T: DeserializeOwned>(
    model: &dyn ChatModel,
    ask: &Ask,
    on_text: OnText<'_>,
    check: &(dyn Fn(&T) -> Vec<String> + Send + Sync),
) -> Result<Readable<T>, LlmError> {
    let schema = match &ask.want {
        Want::Json { schema, .. } => schema.clone(),
        Want::Text => Value::Null,
    };
    let mut turn = ask.clone();
    let mut usage = None;
    for repairs in 0..=REPAIRS_MAX {
        let mut answer = model.answer(&turn, &mut *on_text).await?;
        let sum = usage.map_or(answer.usage, |before| crate::patient::add(before, answer.usage));
        (answer.usage, usage) = (sum, Some(sum));
        let problems = match understand::<T>(&answer.text, &schema) {
            Ok((value, notes)) => {
                let problems = check(&value);
                if problems.is_empty() {
                    return Ok(Readable { value, answer, notes, repairs });
                }
                problems
            }
            Err(problems) => problems,
        };
        if repairs == REPAIRS_MAX {
            return Err(LlmError::new(model.name(), LlmErrorKind::Unreadable(problems)));
        }
        turn = repaired(ask, &answer.text, &problems, repairs + 1);
    }
    Err(LlmError::new(model.name(), LlmErrorKind::Unreadable(Vec::new())))
}

/// The request with the answer and what is wrong with it.
fn repaired(ask: &Ask, text: &str, problems: &[String], number: u32) -> Ask {
    let mut next = ask.clone();
    next.key.turn += number;
    let quoted: String = text.chars().take(QUOTED_MAX).collect();
    if !quoted.trim().is_empty() {
        next.messages.push(Message::new(Role::Assistant, quoted));
    }
    let list = problems.iter().fold(String::new(), |list, problem| list + "- " + problem + "\n");
    let words = format!(
        "Your answer cannot be used as it is:\n{list}Answer again, whole and corrected, with the JSON object alone."
    );
    next.messages.push(Message::new(Role::User, words));
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::silent;
    use crate::scripted::Scripted;
    use serde_json::json;

    fn ask() -> Ask {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 0}}});
        Ask {
            messages: vec![Message::new(Role::User, "how many?")],
            want: Want::Json { name: "count".into(), schema },
            tokens_max: 50,
            ..Ask::default()
        }
    }

    #[derive(Debug, serde::Deserialize)]
    struct Count {
        n: i64,
    }

    fn even(count: &Count) -> Vec<String> {
        if count.n % 2 == 0 { Vec::new() } else { vec![format!("`n` must be even, not {}", count.n)] }
    }

    async fn play(texts: &[&str]) -> (Result<(i64, u32), LlmErrorKind>, Vec<Ask>) {
        let model = Scripted::saying(texts.iter().copied());
        let result = read::<Count>(&model, &ask(), &mut silent(), &even).await;
        (result.map(|read| (read.value.n, read.repairs)).map_err(|error| error.kind), model.asked())
    }

    #[tokio::test]
    async fn a_good_answer_needs_no_repair() {
        assert_eq!(play(&["```json\n{\"n\": 4}\n```"]).await.0, Ok((4, 0)));
    }

    #[tokio::test]
    async fn problems_go_back_to_the_model() {
        let (result, asked) = play(&["four", "{\"n\": -1}", "{\"n\": 4}"]).await;
        assert_eq!(result, Ok((4, 2)));
        let last = |n: usize| asked[n].messages.last().unwrap().content.clone();
        assert!(last(1).contains("there is no JSON object"), "{}", last(1));
        assert!(last(2).contains("`n` must be at least 0, not -1"), "{}", last(2));
        assert_eq!(asked[2].messages.len(), 3, "only the last answer is shown again");
        assert_eq!(asked.iter().map(|ask| ask.key.turn).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[tokio::test]
    async fn checks_of_meaning_are_repaired_too() {
        assert_eq!(play(&["{\"n\": 3}", "{\"n\": 2}"]).await.0, Ok((2, 1)));
    }

    #[tokio::test]
    async fn two_repairs_are_enough() {
        let (result, asked) = play(&["a", "b", "c", "{\"n\": 2}"]).await;
        assert!(matches!(result, Err(LlmErrorKind::Unreadable(_))));
        assert_eq!(asked.len(), 3);
    }

    #[test]
    fn of_several_pieces_the_fitting_one_is_taken() {
        let schema = match ask().want {
            Want::Json { schema, .. } => schema,
            Want::Text => unreachable!(),
        };
        let text = "Given {\"input\": 3, \"other\": [1, 2, 3, 4, 5]}, I answer {\"n\": 6}.";
        assert_eq!(understand::<Count>(text, &schema).unwrap().0.n, 6);
    }
}
