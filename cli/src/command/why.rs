//! `ansatz why RUN STEP`: the trace from a result back to its causes.

use super::Session;
use crate::console::{self, Style};
use crate::exit::{Exit, Failure};
use ansatz_report::text::{MESSAGE_WIDTH, visible};
use ansatz_trace::Graph;
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct WhyArgs {
    /// Folder or id of the run
    run: String,
    /// What to explain: result, ensemble, a step, a candidate (c3), a trial (t17) or a dropped column
    #[arg(default_value = "result")]
    step: String,
}

/// One line of the answer as `--json` shows it.
#[derive(Serialize)]
struct Reason {
    depth: usize,
    name: String,
    text: String,
    parameter: bool,
}

/// Carries out `why`.
///
/// # Errors
/// There is no such run, or nothing of that name in it.
pub fn execute(args: &WhyArgs, session: &Session) -> Result<Exit, Failure> {
    let run = session.read_run(&args.run)?;
    let graph = Graph::from_events(&run.events);
    let lines =
        graph.why(&args.step).map_err(|error| Failure::usage(error.to_string()).hint(error.hint()))?;
    if session.is_json {
        let reasons: Vec<Reason> = lines
            .into_iter()
            .map(|line| Reason {
                depth: line.depth,
                name: line.name,
                text: line.text,
                parameter: line.parameter,
            })
            .collect();
        console::json(&reasons)?;
        return Ok(Exit::Ok);
    }
    let mut text = String::new();
    for line in lines {
        let indent = "  ".repeat(line.depth);
        let style = if line.depth == 0 { Style::Bold } else { Style::Plain };
        let mark = if line.parameter { session.console.out.text(Style::Cyan, "* ") } else { String::new() };
        let _ = writeln!(
            text,
            "{indent}{mark}{}",
            session.console.out.text(style, &visible(&line.text, MESSAGE_WIDTH))
        );
    }
    console::result(&text);
    Ok(Exit::Ok)
}
