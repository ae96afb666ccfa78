//! How long a suggestion takes: ten parameters of every kind, medians over the trials around 100, 250 and 1,000.
//!
//! usage: cost [SAMPLER,SAMPLER]

use ansatz_core::seed::Seed;
use ansatz_tuner::samplers;
use ansatz_tuner::space::{Builder, Params};
use ansatz_tuner::study::{Ask, Options, Study};
use ansatz_tuner::trial::Direction;
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::time::Instant;

fn value(params: &Params) -> f64 {
    let term = |value: &serde_json::Value| match value {
        serde_json::Value::Bool(yes) => f64::from(u8::from(*yes)),
        serde_json::Value::String(text) => text.len() as f64,
        other => (other.as_f64().unwrap_or_default() - 0.3).abs().ln_1p(),
    };
    params.values().map(term).sum()
}

fn main() -> Result<()> {
    let names = std::env::args().nth(1).unwrap_or_else(|| "tpe,gp".into());
    let mut out = std::io::stdout().lock();
    for name in names.split(',') {
        let space = Builder::new()
            .float("a", -2.0, 3.0)
            .log_float("b", 1e-6, 1.0)
            .float("c", 0.0, 1.0)
            .log_float("d", 0.1, 10.0)
            .int("e", -5, 5)
            .log_int("f", 1, 4096)
            .int("g", 0, 100)
            .categorical("h", ["x", "yy", "zzz"])
            .bool("i")
            .categorical("j", ["p", "qq", "rrr", "ssss"])
            .build()?;
        // Searched by chance up to where the time is taken: what came before costs nothing here.
        for trials in [100, 250, 1_000] {
            if name == "gp" && trials > 250 {
                continue;
            }
            let sampler = samplers::by_name(name).with_context(|| format!("there is no sampler {name}"))?;
            let mut study = Study::new(space.clone(), Options::new(Direction::Minimize, Seed(1)), sampler)?;
            let mut rng = study.history().rng();
            for _ in 0..trials - 10 {
                let Some(point) = space.random(&mut rng) else { bail!("no point") };
                let params = space.params(&point);
                study.adopt(&params, value(&params).into(), "chance")?;
            }
            let mut seconds = Vec::new();
            for _ in 0..21 {
                let start = Instant::now();
                let Ask::Suggestion(asked) = study.ask() else { bail!("nothing was suggested") };
                seconds.push(start.elapsed().as_secs_f64());
                study.tell(asked.number, value(&asked.params))?;
            }
            let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
            seconds.sort_by(f64::total_cmp);
            let (median, least) = (seconds[seconds.len() / 2], seconds[0]);
            writeln!(
                out,
                "{name} at {trials} trials: median {:.2} ms, mean {:.2} ms, least {:.2} ms",
                median * 1e3,
                mean * 1e3,
                least * 1e3
            )?;
        }
    }
    Ok(())
}
