//! Memory as it was at one moment; holds nothing open.

use crate::experience::{Experience, Lesson, Record, Study};
use crate::looks::Look;
use crate::meta::MetaFeatures;
use crate::warm::{WarmStart, portfolio};
use ansatz_core::ids::RunId;
use ansatz_core::task::Problem;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Tasks that are asked for first configurations: fewer know too little, more are too unlike.
const NEIGHBOURS: usize = 8;

/// Numbers about memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// Experiences, one per run.
    pub experiences: usize,
    /// Trials in them.
    pub trials: usize,
    /// Different data sets among them.
    pub data_sets: usize,
    /// Lessons.
    pub lessons: usize,
    /// Studies of programs' parameters.
    pub studies: usize,
    /// Looks at seals.
    pub looks: usize,
}

/// Memory as it was at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    experiences: BTreeMap<RunId, Experience>,
    lessons: BTreeMap<(RunId, String), Lesson>,
    studies: BTreeMap<RunId, Study>,
    looks: BTreeSet<Look>,
    /// Who had the store, so that this snapshot holds the last export and the inbox only.
    pub held_by: Option<String>,
    /// What the user should know, e.g. that a damaged store was set aside.
    pub notices: Vec<String>,
}

impl Snapshot {
    pub(crate) fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let mut snapshot = Self::default();
        for record in records {
            match record {
                Record::Experience(experience) => {
                    snapshot.experiences.insert(experience.run.clone(), *experience);
                }
                Record::Lesson(lesson) => {
                    snapshot.lessons.insert((lesson.run.clone(), lesson.id.clone()), lesson);
                }
                Record::Study(study) => {
                    snapshot.studies.insert(study.run.clone(), *study);
                }
                Record::Look(look) => {
                    snapshot.looks.insert(look);
                }
            }
        }
        snapshot
    }

    pub(crate) fn with_notices(self, notices: Vec<String>) -> Self {
        Self { notices, ..self }
    }

    pub(crate) fn add_looks(&mut self, looks: BTreeSet<Look>) {
        self.looks.extend(looks);
    }

    /// All experiences, the latest first.
    pub fn experiences(&self) -> Vec<&Experience> {
        let mut experiences: Vec<&Experience> = self.experiences.values().collect();
        experiences.sort_by_key(|experience| (std::cmp::Reverse(experience.at), &experience.run));
        experiences
    }

    /// The experience of a run.
    pub fn show(&self, run: &RunId) -> Option<&Experience> {
        self.experiences.get(run)
    }

    /// All lessons, by run.
    pub fn lessons(&self) -> impl Iterator<Item = &Lesson> {
        self.lessons.values()
    }

    /// All studies of programs' parameters, the latest first.
    pub fn studies(&self) -> Vec<&Study> {
        let mut studies: Vec<&Study> = self.studies.values().collect();
        studies.sort_by_key(|study| (std::cmp::Reverse(study.at), &study.run));
        studies
    }

    /// The study of this name.
    pub fn study(&self, run: &RunId) -> Option<&Study> {
        self.studies.get(run)
    }

    /// How often the seal over these data was opened, by any run.
    pub fn looks(&self, data_hash: &str) -> u32 {
        self.looks.iter().filter(|look| look.data_hash == data_hash).count() as u32
    }

    /// The `k` experiences whose data are most alike, of the same kind of problem, with their distances, nearest
    /// first. Of equal distances the later experience comes first.
    pub fn nearest(&self, meta: &MetaFeatures, problem: Problem, k: usize) -> Vec<(&Experience, f64)> {
        let alike = self.experiences().into_iter().filter(|experience| experience.task.problem == problem);
        let mut nearest: Vec<(&Experience, f64)> =
            alike.map(|experience| (experience, experience.meta.distance(meta))).collect();
        nearest.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        nearest.truncate(k);
        nearest
    }

    /// At most `limit` configurations to try first, the most promising first, each with its reason.
    pub fn warm_starts(&self, meta: &MetaFeatures, problem: Problem, limit: usize) -> Vec<WarmStart> {
        portfolio(&self.nearest(meta, problem, NEIGHBOURS), limit)
    }

    /// Numbers about memory.
    pub fn stats(&self) -> Stats {
        let data_sets: BTreeSet<&str> = self.experiences.values().map(|it| it.data_hash.as_str()).collect();
        Stats {
            experiences: self.experiences.len(),
            trials: self.experiences.values().map(|experience| experience.trials.len()).sum(),
            data_sets: data_sets.len(),
            lessons: self.lessons.len(),
            studies: self.studies.len(),
            looks: self.looks.len(),
        }
    }

    /// Everything as records, in a stable order.
    pub fn records(&self) -> Vec<Record> {
        let experiences =
            self.experiences.values().map(|experience| Record::Experience(Box::new(experience.clone())));
        let lessons = self.lessons.values().map(|lesson| Record::Lesson(lesson.clone()));
        let looks = self.looks.iter().map(|look| Record::Look(look.clone()));
        let studies = self.studies.values().map(|study| Record::Study(Box::new(study.clone())));
        experiences.chain(lessons).chain(studies).chain(looks).collect()
    }
}
