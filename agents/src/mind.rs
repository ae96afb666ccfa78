//! The seat of a language model beside the playbook: renders a prompt, asks, understands the reply.
//!
//! Everything that a model may decide comes back as a value of a reply type, or as files of code; nothing is done here with
//! either. A reply that cannot be had is an error that the caller answers with the playbook.

use ansatz_llm::{
    Ask, ChatModel, CodeFile, Key, LlmError, LlmErrorKind, Message, OnText, Readable, Role, Want, code_files,
    read,
};
use ansatz_prompts::{Prompt, PromptError, Prompts, Rendered, Reply, ReplyForm};

/// Turns of repair of code that cannot be taken from its answer.
const CODE_REPAIRS_MAX: u32 = 1;

/// For whom and for what a question is asked: under these names its cost is booked and its recording is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// `planner`, `data`, `model`, `hpo`, `verifier`.
    pub agent: &'static str,
    /// The plan's step.
    pub step: String,
    /// How many questions of the same template the step has asked before.
    pub ordinal: u32,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum MindError {
    /// The prompt cannot be rendered.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The model gave no usable answer.
    #[error(transparent)]
    Model(#[from] LlmError),
}

/// A question: the prompt, and the same with less in it for a model with a small context.
pub struct Question<'a, P> {
    /// The prompt.
    pub prompt: &'a P,
    /// The shorter one; `None` when there is none.
    pub shorter: Option<&'a P>,
}

/// A language model and the wordings that it is asked with.
pub struct Mind<'a> {
    /// The model.
    pub model: &'a dyn ChatModel,
    /// The wordings.
    pub prompts: &'a Prompts,
}

impl Mind<'_> {
    /// Asks for a typed reply. `check` finds what a schema cannot say, such as a column that is not there.
    ///
    /// # Errors
    /// [`MindError`].
    pub async fn ask<P: Prompt + Sync, R: Reply>(
        &self,
        question: Question<'_, P>,
        purpose: &Purpose,
        on_text: OnText<'_>,
        check: &(dyn Fn(&R) -> Vec<String> + Send + Sync),
    ) -> Result<Readable<R>, MindError> {
        let ask = self.request(&question, purpose, R::form())?;
        Ok(read(self.model, &ask, on_text, check).await?)
    }

    /// Asks for code. A single file without a name gets `file`.
    ///
    /// # Errors
    /// [`MindError`].
    pub async fn code<P: Prompt + Sync>(
        &self,
        question: Question<'_, P>,
        purpose: &Purpose,
        form: ReplyForm,
        file: &str,
        on_text: OnText<'_>,
    ) -> Result<Vec<CodeFile>, MindError> {
        let mut ask = self.request(&question, purpose, form)?;
        for repair in 0..=CODE_REPAIRS_MAX {
            let answer = self.model.answer(&ask, &mut *on_text).await?;
            match code_files(&answer.text, file) {
                Ok(files) => return Ok(files),
                Err(problem) if repair == CODE_REPAIRS_MAX => {
                    return Err(self.unreadable(vec![problem.to_string()]).into());
                }
                Err(problem) => {
                    ask.key.turn += 1;
                    ask.messages.push(Message::new(Role::Assistant, answer.text));
                    ask.messages.push(Message::new(
                        Role::User,
                        format!(
                            "That cannot be used: {problem}. Answer again in the form that was asked for."
                        ),
                    ));
                }
            }
        }
        Err(self.unreadable(Vec::new()).into())
    }

    fn unreadable(&self, problems: Vec<String>) -> LlmError {
        LlmError { model: self.model.name(), request: None, kind: LlmErrorKind::Unreadable(problems) }
    }

    fn request<P: Prompt>(
        &self,
        question: &Question<'_, P>,
        purpose: &Purpose,
        form: ReplyForm,
    ) -> Result<Ask, PromptError> {
        let rendered = self.prompts.render(question.prompt)?;
        let shorter = question.shorter.map(|prompt| self.prompts.render(prompt)).transpose()?;
        let (want, tokens_max) = match form {
            ReplyForm::Json { name, schema, tokens_max } => {
                (Want::Json { name: name.into(), schema }, tokens_max)
            }
            ReplyForm::Code { tokens_max } => (Want::Text, tokens_max),
        };
        let key = Key {
            agent: purpose.agent.into(),
            template: rendered.template.into(),
            hash: rendered.hash.clone(),
            step: purpose.step.clone(),
            ordinal: purpose.ordinal,
            turn: 0,
        };
        let fields = rendered.fields.clone();
        let shorter = shorter.map(messages);
        Ok(Ask { key, messages: messages(rendered), shorter, want, tokens_max, temperature: None, fields })
    }
}

fn messages(rendered: Rendered) -> Vec<Message> {
    vec![Message::new(Role::System, rendered.system), Message::new(Role::User, rendered.user)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_llm::{Scripted, silent};
    use ansatz_prompts::planner::{Understand, Understanding};

    const REPLY: &str = r#"{"relevance": "a table and a column", "is_relevant": true, "intent": "build", "target": "y", "problem": "binary", "metric": null,
        "targets": [], "constraints": [], "group_column": null, "time_column": null, "suspects": [], "questions": [],
        "application": "a test", "service": null, "confidence": 0.9}"#;

    fn prompt() -> Understand {
        Understand {
            case: crate::thought::tests::case(),
            said: "predict y".into(),
            concluded: Vec::new(),
            doubts: Vec::new(),
            metrics: Vec::new(),
        }
    }

    fn purpose() -> Purpose {
        Purpose { agent: "planner", step: "understand".into(), ordinal: 0 }
    }

    #[tokio::test]
    async fn a_typed_reply_comes_back_and_its_request_is_named() {
        let (model, prompts) = (Scripted::saying([REPLY]), Prompts::built_in().unwrap());
        let mind = Mind { model: &model, prompts: &prompts };
        let prompt = prompt();
        let question = Question { prompt: &prompt, shorter: Some(&prompt) };
        let reply =
            mind.ask::<_, Understanding>(question, &purpose(), &mut silent(), &|_| Vec::new()).await.unwrap();
        assert_eq!(reply.value.target.as_deref(), Some("y"));
        let asked = model.asked().remove(0);
        assert_eq!((asked.key.template.as_str(), asked.key.hash.len()), ("planner/understand", 16));
        assert!(asked.messages[1].content.contains("predict y") && asked.shorter.is_some());
        assert!(
            asked.fields.to_string().contains("predict y") && !asked.fields.to_string().contains("nonce")
        );
    }

    #[tokio::test]
    async fn what_a_schema_cannot_say_is_checked_and_repaired() {
        let (model, prompts) =
            (Scripted::saying([REPLY.replace("\"y\"", "\"z\""), REPLY.into()]), Prompts::built_in().unwrap());
        let mind = Mind { model: &model, prompts: &prompts };
        let prompt = prompt();
        let check = |reply: &Understanding| match reply.target.as_deref() {
            Some("y") | None => Vec::new(),
            Some(other) => vec![format!("there is no column {other:?}")],
        };
        let question = Question { prompt: &prompt, shorter: None };
        let reply = mind.ask(question, &purpose(), &mut silent(), &check).await.unwrap();
        assert_eq!((reply.value.target.as_deref(), reply.repairs), (Some("y"), 1));
    }

    #[tokio::test]
    async fn code_is_asked_for_again_once() {
        let prompts = Prompts::built_in().unwrap();
        let prompt = prompt();
        let ask = async |texts: &[&str]| {
            let model = Scripted::saying(texts.iter().copied());
            let mind = Mind { model: &model, prompts: &prompts };
            let question = Question { prompt: &prompt, shorter: None };
            let form = ReplyForm::Code { tokens_max: 100 };
            mind.code(question, &purpose(), form, "solution.py", &mut silent())
                .await
                .map(|files| files[0].content.clone())
                .map_err(|error| error.to_string())
        };
        assert_eq!(ask(&["no", "```python\nx = 1\n```"]).await, Ok("x = 1\n".into()));
        assert!(ask(&["no", "no"]).await.unwrap_err().contains("there is no fenced code block"));
    }
}
