//! What becomes of what a language model says: plans are merged, code is checked, suspicions are told; what was not answered is
//! done without.

use super::ideas::About;
use super::{Dispatcher, StepState};
use crate::error::RunError;
use crate::minds;
use ansatz_agents::mind::MindError;
use ansatz_agents::planner::{self, Means};
use ansatz_agents::playbook;
use ansatz_agents::thought::Conclusion;
use ansatz_agents::{data, verifier};
use ansatz_core::ids::StepId;
use ansatz_core::verdict::Stage;
use ansatz_planner::Plan;
use ansatz_prompts::planner::PlanIdeas;

/// Share of the search after which plans that could not be had are not asked for again.
const PLAN_AGAIN_SHARE_MAX: f64 = 0.6;

impl Dispatcher<'_, '_> {
    /// Acts on what was concluded, in the order in which it was asked.
    pub(super) fn take_up(&mut self) -> Result<(), RunError> {
        loop {
            let Some(ideas) = &mut self.ideas else { return Ok(()) };
            let Some((number, result)) = ideas.concluded.pop_first() else { return Ok(()) };
            let Some(about) = ideas.about.remove(&number) else { continue };
            match result {
                Ok(conclusion) => self.act(about, conclusion)?,
                Err(error) => self.do_without(about, &error)?,
            }
        }
    }

    fn act(&mut self, about: About, conclusion: Conclusion) -> Result<(), RunError> {
        match (about, conclusion) {
            (About::Insights, Conclusion::Insights(said)) => {
                let Some(ideas) = &mut self.ideas else { return Ok(()) };
                ideas.insights =
                    said.insights.into_iter().map(|one| format!("{}: {}", one.source, one.insight)).collect();
                Ok(())
            }
            (About::Plans, Conclusion::Plans(said)) => self.adopt_plans(&said),
            (About::Columns, Conclusion::Assessment(said)) => {
                let advice = data::advice(&said, self.s.profile, &self.s.drop);
                for suspicion in advice.suspicions {
                    self.s.record.warn(format!(
                        "the language model suspects a leak, which nothing measured confirms: {suspicion}"
                    ))?;
                }
                if let Some(ideas) = &mut self.ideas {
                    advice.lessons.into_iter().for_each(|lesson| ideas.learn(lesson));
                }
                Ok(())
            }
            (About::Code(step), Conclusion::Code(code)) => self.take_code(&step, code),
            (About::Revision(work, switch), Conclusion::Block(block)) => {
                self.take_block(work, &switch, &block)
            }
            (About::Configurations(kind, step), Conclusion::Configurations(proposals)) => {
                self.take_configurations(kind, &step, &proposals)
            }
            (About::Replan, Conclusion::Replanned(said)) => self.replan(&said),
            (About::Evidence, Conclusion::Reading(said)) => {
                let (summary, concerns) = verifier::told(&said);
                let evidence = format!("opinion, beside the checks: {summary}");
                self.s.record.check(Stage::Score, "reading of the evidence", true, evidence)?;
                concerns.into_iter().try_for_each(|concern| self.s.record.warn(concern))
            }
            // The seat answers each thought with its own kind of conclusion.
            _ => Ok(()),
        }
    }

    /// A question stays without an answer: the playbook's work goes on, and what hung on the answer is given up.
    fn do_without(&mut self, about: About, error: &MindError) -> Result<(), RunError> {
        let share = self.used_share();
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        if let Some(error) = ideas.council.ends_run(error) {
            self.pool.stop();
            return Err(error);
        }
        let (why, is_cap) = (minds::told(error), minds::is_cap(error));
        if let Some(told) = ideas.council.told_of_cap(error) {
            self.s.record.warn(told)?;
        } else if !is_cap {
            let name = ideas.council.name().to_owned();
            self.s.record.warn(format!("the language model {name} was of no help: {why}"))?;
        }
        match about {
            About::Code(step) => self.give_up_draft(&step, &why),
            About::Revision(work, switch) => {
                self.lose_revision(work, &switch);
                Ok(())
            }
            About::Plans if !is_cap && !ideas.has_planned_again && share < PLAN_AGAIN_SHARE_MAX => {
                ideas.has_planned_again = true;
                ideas.has_planned = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What plans may be made of, code for so many branches among it.
    pub(super) fn means(&self, code_max: usize) -> Option<Means<'_>> {
        let ideas = self.ideas.as_ref()?;
        let names =
            self.s.plan.steps().iter().filter_map(playbook::solution_of).chain(ideas.spaces.keys().cloned());
        let names = names.chain(self.sources.keys().cloned());
        let steps = self
            .s
            .plan
            .steps()
            .iter()
            .filter_map(|step| Some(step.id.as_str().split_once(':')?.1.to_owned()));
        Some(Means {
            task: self.s.task,
            profile: self.s.profile,
            columns: &self.s.columns,
            spaces: &ideas.spaces,
            taken: names.chain(steps).collect(),
            code_max,
        })
    }

    fn adopt_plans(&mut self, said: &PlanIdeas) -> Result<(), RunError> {
        let code_max = planner::CODE_BRANCHES_MAX.saturating_sub(self.live_drafts());
        let Some(means) = self.means(code_max) else { return Ok(()) };
        match planner::plans(said, &means) {
            Ok(plans) if plans.is_empty() => {
                let evidence = "none of the language model's branches adds to the plan";
                self.s.record.check(Stage::Plan, "plans of the language model", true, evidence)
            }
            Ok(plans) => self.merge(&plans, "plans of the language model"),
            Err(error) => {
                self.s.record.check(Stage::Plan, "plans of the language model", false, error.to_string())
            }
        }
    }

    /// Drafts that came to something, or still may.
    fn live_drafts(&self) -> usize {
        let drafts = self.ideas.iter().flat_map(|ideas| &ideas.drafts);
        let is_lost = |step: &StepId| self.lost.contains_key(step);
        drafts.filter(|(step, draft)| !is_lost(step) && !is_lost(&draft.model)).count()
    }

    /// Makes one plan of the present one and others, and goes on with it.
    pub(super) fn merge(&mut self, plans: &[Plan], subject: &str) -> Result<(), RunError> {
        let all: Vec<Plan> = std::iter::once(&self.s.plan).chain(plans).cloned().collect();
        let merged = match ansatz_planner::merge(&all) {
            Ok(merged) => merged,
            Err(error) => return self.s.record.check(Stage::Plan, subject, false, error.to_string()),
        };
        let new: Vec<StepId> = merged
            .steps()
            .iter()
            .map(|step| step.id.clone())
            .filter(|id| !self.states.contains_key(id))
            .collect();
        let names: Vec<&str> = new.iter().map(StepId::as_str).filter(|id| id.starts_with("model:")).collect();
        let evidence = format!("merged into the plan as {}", names.join(", "));
        self.s.record.check(Stage::Plan, subject, true, evidence)?;
        (self.s.adopt)(&merged, self.s.record)?;
        for step in new {
            self.states.insert(step, StepState::Waiting);
        }
        self.s.plan = merged;
        Ok(())
    }
}
