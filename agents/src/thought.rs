//! What agents want to know from a language model, and what they can conclude from its answer: both are closed lists.
//!
//! A thought is an observation made into a prompt; a conclusion is a value of a reply type, or code. Whoever carries out a run
//! has thoughts answered (at the same time, in any order) and acts on conclusions; nothing else comes from a model.

use crate::hpo::{self, Wanted};
use crate::mind::{Mind, MindError, Purpose, Question};
use ansatz_llm::OnText;
use ansatz_prompts::data::{Assess, Assessment, WriteFeatures};
use ansatz_prompts::hpo::{Candidates, ProposeCandidates, WarmStart, WarmStarts};
use ansatz_prompts::model::{Debug, Refine, WriteSolution};
use ansatz_prompts::planner::{
    Insights, MakePlans, PlanIdeas, ReadSources, Replan, Replanned, Understand, Understanding,
};
use ansatz_prompts::verifier::{ReadEvidence, Reading};
use ansatz_prompts::{Case, Prompt, Reply, ReplyForm};
use ansatz_tuner::query::Proposal;

/// A question of one agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Thought {
    /// The planner: what does the user want?
    Understand(Box<Understand>),
    /// The planner: what of what is known matters here?
    Insights(Box<ReadSources>),
    /// The planner: how could this be done?
    Plans(Box<MakePlans>),
    /// The planner: what does the evidence change?
    Replan(Box<Replan>),
    /// The data agent: what are these columns?
    Assess(Box<Assess>),
    /// The data agent: a module with new features.
    Features(Box<WriteFeatures>),
    /// The model agent: a module with a whole solution.
    Solution(Box<WriteSolution>),
    /// The model agent: a corrected module.
    Debug(Box<Debug>),
    /// The model agent: one function, revised.
    Refine(Box<Refine>),
    /// The HPO agent: which configurations to begin with?
    Starts(Box<Wanted<WarmStart>>),
    /// The HPO agent: which configurations would do better still?
    Further(Box<Wanted<ProposeCandidates>>),
    /// The verifier: what does the evidence say?
    Evidence(Box<ReadEvidence>),
}

/// What came of a thought.
#[derive(Debug, Clone, PartialEq)]
pub enum Conclusion {
    /// What the user wants.
    Understood(Box<Understanding>),
    /// What matters of what is known.
    Insights(Insights),
    /// Plans.
    Plans(PlanIdeas),
    /// What the evidence changes.
    Replanned(Box<Replanned>),
    /// What the columns are.
    Assessment(Assessment),
    /// Source of a module.
    Code(String),
    /// Source of one function.
    Block(String),
    /// Configurations to try, not yet brought into their space.
    Configurations(Vec<Proposal>),
    /// A reading of the evidence.
    Reading(Reading),
}

/// What replies are checked against beyond their form.
#[derive(Debug, Clone, PartialEq)]
pub struct Grounds {
    /// The case told shorter, for a model with a small context.
    pub short: Case,
    /// Names of the built-in solutions that may be used.
    pub solutions: Vec<String>,
    /// Columns of the training file.
    pub columns: Vec<String>,
}

impl Thought {
    /// The agent whose question it is.
    pub fn agent(&self) -> &'static str {
        match self {
            Self::Understand(_) | Self::Insights(_) | Self::Plans(_) | Self::Replan(_) => "planner",
            Self::Assess(_) | Self::Features(_) => "data",
            Self::Solution(_) | Self::Debug(_) | Self::Refine(_) => "model",
            Self::Starts(_) | Self::Further(_) => "hpo",
            Self::Evidence(_) => "verifier",
        }
    }

    /// Name of its prompt.
    pub fn template(&self) -> &'static str {
        match self {
            Self::Understand(_) => Understand::NAME,
            Self::Insights(_) => ReadSources::NAME,
            Self::Plans(_) => MakePlans::NAME,
            Self::Replan(_) => Replan::NAME,
            Self::Assess(_) => Assess::NAME,
            Self::Features(_) => WriteFeatures::NAME,
            Self::Solution(_) => WriteSolution::NAME,
            Self::Debug(_) => Debug::NAME,
            Self::Refine(_) => Refine::NAME,
            Self::Starts(_) => WarmStart::NAME,
            Self::Further(_) => ProposeCandidates::NAME,
            Self::Evidence(_) => ReadEvidence::NAME,
        }
    }

    /// Has it answered.
    ///
    /// # Errors
    /// [`MindError`]: no answer, or none that could be used after repairs.
    pub async fn ask(
        &self,
        mind: &Mind<'_>,
        purpose: &Purpose,
        grounds: &Grounds,
        hear: OnText<'_>,
    ) -> Result<Conclusion, MindError> {
        let seat = Seat { mind, purpose, short: &grounds.short };
        Ok(match self {
            Self::Understand(prompt) => {
                let check = |reading: &Understanding| crate::understand::problems(reading, &grounds.columns);
                let reading = seat.ask(&**prompt, |prompt| &mut prompt.case, hear, &check);
                Conclusion::Understood(Box::new(reading.await?))
            }
            Self::Insights(prompt) => Conclusion::Insights(
                seat.ask(&**prompt, |prompt| &mut prompt.case, hear, &|_| Vec::new()).await?,
            ),
            Self::Plans(prompt) => {
                let check = |ideas: &PlanIdeas| crate::planner::problems(ideas, &grounds.solutions);
                Conclusion::Plans(seat.ask(&**prompt, |prompt| &mut prompt.case, hear, &check).await?)
            }
            Self::Replan(prompt) => {
                let check = |said: &Replanned| {
                    crate::planner::replan_problems(said, &prompt.branches, &grounds.solutions)
                };
                let reply = seat.ask(&**prompt, |prompt| &mut prompt.case, hear, &check);
                Conclusion::Replanned(Box::new(reply.await?))
            }
            Self::Assess(prompt) => Conclusion::Assessment(
                seat.ask(&**prompt, |prompt| &mut prompt.case, hear, &|_| Vec::new()).await?,
            ),
            Self::Evidence(prompt) => Conclusion::Reading(
                seat.ask(&**prompt, |prompt| &mut prompt.case, hear, &|_| Vec::new()).await?,
            ),
            Self::Starts(wanted) => {
                let check = |reply: &WarmStarts| hpo::problems(&reply.configurations, &wanted.space);
                let reply = seat.ask(&wanted.prompt, |prompt| &mut prompt.case, hear, &check).await?;
                Conclusion::Configurations(hpo::proposals(&reply.configurations))
            }
            Self::Further(wanted) => {
                let check = |reply: &Candidates| hpo::problems(&reply.configurations, &wanted.space);
                let reply = seat.ask(&wanted.prompt, |prompt| &mut prompt.case, hear, &check).await?;
                Conclusion::Configurations(hpo::proposals(&reply.configurations))
            }
            Self::Features(prompt) => Conclusion::Code(
                seat.code(&**prompt, |prompt| &mut prompt.case, WriteFeatures::FORM, hear).await?,
            ),
            Self::Solution(prompt) => Conclusion::Code(
                seat.code(&**prompt, |prompt| &mut prompt.case, WriteSolution::FORM, hear).await?,
            ),
            Self::Debug(prompt) => {
                Conclusion::Code(seat.code(&**prompt, |prompt| &mut prompt.case, Debug::FORM, hear).await?)
            }
            Self::Refine(prompt) => {
                Conclusion::Block(seat.code(&**prompt, |prompt| &mut prompt.case, Refine::FORM, hear).await?)
            }
        })
    }
}

/// A mind, asked for one purpose.
struct Seat<'a> {
    mind: &'a Mind<'a>,
    purpose: &'a Purpose,
    short: &'a Case,
}

impl Seat<'_> {
    async fn ask<P: Prompt + Sync + Clone, R: Reply>(
        &self,
        prompt: &P,
        case_of: fn(&mut P) -> &mut Case,
        hear: OnText<'_>,
        check: &(dyn Fn(&R) -> Vec<String> + Send + Sync),
    ) -> Result<R, MindError> {
        let mut shorter = prompt.clone();
        case_of(&mut shorter).shorten(self.short.clone());
        let question = Question { prompt, shorter: Some(&shorter) };
        Ok(self.mind.ask(question, self.purpose, hear, check).await?.value)
    }

    /// All files of the answer as one text: the module comes alone, or the longest of several is meant.
    async fn code<P: Prompt + Sync + Clone>(
        &self,
        prompt: &P,
        case_of: fn(&mut P) -> &mut Case,
        form: ReplyForm,
        hear: OnText<'_>,
    ) -> Result<String, MindError> {
        let mut shorter = prompt.clone();
        case_of(&mut shorter).shorten(self.short.clone());
        let question = Question { prompt, shorter: Some(&shorter) };
        let files = self.mind.code(question, self.purpose, form, "solution.py", hear).await?;
        let longest = files.into_iter().max_by_key(|file| file.content.len());
        Ok(longest.map(|file| file.content).unwrap_or_default())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ansatz_core::budget::Budget;
    use ansatz_core::profile::Profile;
    use ansatz_llm::{Scripted, silent};
    use ansatz_prompts::{Level, Machine, Prompts, Sight, Standing};

    /// The case of a table about which nothing is known.
    pub fn case() -> Case {
        let profile = Profile {
            train_rows: 9,
            test_rows: 0,
            columns: Vec::new(),
            sample: None,
            notices: Vec::new(),
            data_hash: "h".into(),
        };
        let (machine, budget) = (Machine { cores: 1, gpus: 0 }, Budget::default());
        let sight = Sight {
            nonce: "n".into(),
            profile: &profile,
            rows: &[],
            machine: &machine,
            budget: &budget,
            level: Level::Full,
        };
        Case::unknown("data", "predict y", &sight)
    }

    #[tokio::test]
    async fn code_comes_back_as_a_conclusion() {
        let (model, prompts) =
            (Scripted::saying(["```python solution.py\nX = 1\n```"]), Prompts::built_in().unwrap());
        let idea = crate::planner::Idea {
            name: "a".into(),
            kind: ansatz_prompts::planner::BranchKind::NewFeatures,
            base: "catboost".into(),
            what: "groups".into(),
            inputs: Vec::new(),
            check: "size".into(),
            predicted: None,
        };
        let standing = Some(Standing { noise: "0.01".into(), rows: Vec::new() });
        let told = Case { standing, ..case() };
        let thought = Thought::Features(Box::new(crate::data::features(&told, &idea, "9 s", &[])));
        let mind = Mind { model: &model, prompts: &prompts };
        let purpose = Purpose { agent: thought.agent(), step: "features:a".into(), ordinal: 0 };
        let grounds = Grounds { short: case(), solutions: Vec::new(), columns: Vec::new() };
        let said = thought.ask(&mind, &purpose, &grounds, &mut silent()).await.unwrap();
        assert_eq!(said, Conclusion::Code("X = 1\n".into()));
        let asked = model.asked().remove(0);
        assert_eq!((asked.key.agent.as_str(), asked.key.template.as_str()), ("data", "data/features"));
        assert!(asked.messages[1].content.contains("from ansatz_worker.solutions import catboost as base"));
        let shorter = asked.shorter.unwrap().remove(1).content;
        assert!(shorter.contains("differences below 0.01 are noise"), "where the run stands is told");
    }
}
