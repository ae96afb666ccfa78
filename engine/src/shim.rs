//! temporary
pub mod ensemble {
    use ansatz_core::{matrix::Matrix, metric::Metric, seed::Seed};
    use ansatz_referee::decision::Decision;
    pub fn best_stage(stages: &[Matrix], truth: &[f64], metric: &dyn Metric) -> Option<usize> {
        let d = metric.spec().direction;
        let g: Vec<f64> = stages.iter().map(|s| metric.score(truth, s, None).map_or(f64::NEG_INFINITY, |x| d.gain(x))).collect();
        (0..g.len()).max_by(|a, b| g[*a].total_cmp(&g[*b]))
    }
    pub fn greedy(members: &[&Matrix], truth: &[f64], metric: &dyn Metric, plain: &Decision, max: usize, _s: Seed) -> Vec<f64> {
        let d = metric.spec().direction;
        let mut counts = vec![0.0; members.len()];
        let mut sum: Option<Matrix> = None;
        let mut best = f64::NEG_INFINITY;
        for n in 1..=20 {
            let mut found = None;
            for (i, m) in members.iter().enumerate() {
                if counts[i] == 0.0 && counts.iter().filter(|c| **c > 0.0).count() >= max { continue; }
                let mut t = sum.clone().unwrap_or_else(|| Matrix::filled(m.rows(), m.columns(), 0.0));
                for (a, b) in t.data_mut().iter_mut().zip(m.data()) { *a += b; }
                let mut mean = t.clone();
                mean.data_mut().iter_mut().for_each(|v| *v /= f64::from(n));
                let g = metric.score(truth, &plain.apply(&mean), None).map_or(f64::NEG_INFINITY, |x| d.gain(x));
                if g > best + 1e-9 { best = g; found = Some((i, t)); }
            }
            let Some((i, t)) = found else { break };
            counts[i] += 1.0; sum = Some(t);
        }
        let total: f64 = counts.iter().sum();
        counts.iter().map(|c| c / total.max(1.0)).collect()
    }
}
pub mod prior {
    use ansatz_core::{matrix::Matrix, metric::Metric, task::Task};
    pub fn constant(task: &Task, _m: &dyn Metric, truth: &[f64], rows: usize) -> Matrix {
        let n = truth.len() as f64;
        if task.outputs() == 1 { let m = truth.iter().sum::<f64>() / n; return Matrix::filled(rows, 1, m); }
        let mut s = vec![0.0; task.outputs()];
        for t in truth { s[*t as usize] += 1.0 / n; }
        Matrix::new(rows, s.len(), (0..rows).flat_map(|_| s.clone()).collect()).unwrap_or_else(|| Matrix::filled(0, 1, 0.0))
    }
}
pub mod leaks {
    use ansatz_core::{evidence::LeakEvidence, profile::Profile, task::Task};
    pub enum Action { Drop, Warn, Keep }
    pub struct LeakDecision { pub column: String, pub action: Action, pub evidence: String }
    pub fn decide(e: &LeakEvidence, _: &Profile, _: &Task) -> Vec<LeakDecision> {
        e.columns.iter().map(|c| {
            let gap = c.filled_test.is_some_and(|t| (c.filled_train - t).abs() > 0.15) && c.filled_alone > 0.9;
            let id = c.looks_like_id && c.alone > 0.98;
            let action = if gap || id || c.copies_target { Action::Drop } else if c.alone > 0.999 { Action::Warn } else { Action::Keep };
            LeakDecision { column: c.column.clone(), action, evidence: format!("alone {:.2} filled {:.2}", c.alone, c.filled_alone) }
        }).collect()
    }
}
pub mod trusted {
    use std::path::PathBuf;
    use std::process::{Command, Stdio};
    use std::time::Duration;
    #[derive(Debug)]
    pub enum TrustedError { Exit { code: i32, last: String }, Other(String) }
    impl std::fmt::Display for TrustedError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{self:?}") } }
    pub fn find_program(name: &str) -> Option<PathBuf> {
        std::env::split_paths(&std::env::var_os("PATH")?).map(|d| d.join(name)).find(|p| p.is_file())
    }
    pub fn run(command: &[String], _: Duration, _line: &mut dyn FnMut(String)) -> Result<(), TrustedError> {
        let out = Command::new(&command[0]).args(&command[1..]).stdin(Stdio::null()).output().map_err(|e| TrustedError::Other(e.to_string()))?;
        if out.status.success() { return Ok(()); }
        Err(TrustedError::Exit { code: out.status.code().unwrap_or(-1), last: String::from_utf8_lossy(&out.stderr).into_owned() })
    }
}
