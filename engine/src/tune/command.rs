//! The user's command: parameters put in, one run of it, a number read from what it prints.
//!
//! Invariant: runs nothing but what the user typed, with the user's own environment; never generated code.

use super::reading::{Found, Reader, Report};
use ansatz_core::candidate::Params;
use ansatz_sandbox::SandboxErrorKind;
use ansatz_sandbox::trusted::{Progress, TrustedCommand};
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Beginning of the names of environment variables that carry parameters.
const VARIABLE: &str = "ANSATZ_PARAM_";
/// How the reason of a run begins that did not end in time.
pub(super) const NO_END: &str = "no end after";
/// How the reason of a run begins whose result is not finite.
pub(super) const ODD_RESULT: &str = "its result is";
/// Letters of output that are kept for a reason of failure.
const WORDS_MAX: usize = 300;

/// A command with places for parameters: `{name}` in an argument is replaced by the parameter's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    argv: Vec<String>,
    folder: PathBuf,
}

/// What one run of the command came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// It printed what was asked for.
    Value {
        /// A number for each goal.
        values: Vec<f64>,
        /// Seconds that the run took.
        wall_s: f64,
        /// Whether the line that held it held other numbers too, so that another may have been meant.
        is_ambiguous: bool,
    },
    /// It gave none.
    Failed(String),
    /// Whoever drives the study called it off.
    CalledOff,
    /// It cannot even be started: trying other parameters is pointless.
    Unusable(String),
}

impl Template {
    /// The command `argv` (at least a program), to be run in `folder`.
    pub fn new(argv: Vec<String>, folder: &Path) -> Self {
        Self { argv, folder: folder.to_path_buf() }
    }

    /// Whether some argument names the parameter.
    pub fn names(&self, parameter: &str) -> bool {
        let place = format!("{{{parameter}}}");
        self.argv.iter().any(|argument| argument.contains(&place))
    }

    /// The first place in an argument for something that is no parameter: `{word}`, unless a shell would read it otherwise.
    pub fn names_unknown(&self, names: &[String]) -> Option<String> {
        let is_word = |word: &str| {
            let starts = word.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '_');
            starts && word.chars().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '.'))
        };
        let places = self.argv.iter().flat_map(|argument| {
            argument.match_indices('{').filter_map(move |(at, _)| {
                let word = argument[at + 1..].split_once('}')?.0;
                (!argument[..at].ends_with('$')).then_some(word)
            })
        });
        places
            .filter(|word| is_word(word))
            .find(|word| !names.iter().any(|name| name == word))
            .map(str::to_owned)
    }

    /// The arguments with the parameters put in. Those of `names` that do not count in this configuration become empty;
    /// braces around anything else stay as they are.
    fn filled(&self, params: &Params, names: &[String]) -> Vec<String> {
        let fill = |argument: &String| {
            let mut filled = String::with_capacity(argument.len());
            let mut rest = argument.as_str();
            while let Some(open) = rest.find('{') {
                filled.push_str(&rest[..open]);
                let after = &rest[open + 1..];
                let known = after
                    .find('}')
                    .map(|close| &after[..close])
                    .filter(|name| names.iter().any(|n| n == name));
                if let Some(name) = known {
                    filled.push_str(&params.get(name).map_or_else(String::new, written));
                    rest = &after[name.len() + 1..];
                } else {
                    filled.push('{');
                    rest = after;
                }
            }
            filled + rest
        };
        self.argv.iter().map(fill).collect()
    }

    /// Runs the command once. `slot` tells runs at the same time apart, `seed` is for whatever the command draws by chance.
    ///
    /// `goals` are the fields of its result, none for a single number. `watch` hears values on the way and, with `None`, gets a
    /// chance to call the run off.
    pub fn run(
        &self,
        params: &Params,
        (names, goals): (&[String], &[String]),
        context: Context,
        watch: &mut dyn FnMut(Option<Report>) -> ControlFlow<()>,
    ) -> Measured {
        let argv = self.filled(params, names);
        let Some((program, arguments)) = argv.split_first() else {
            return Measured::Unusable("there is no command".into());
        };
        let mut command = TrustedCommand::new(program)
            .args(arguments.iter().cloned())
            .folder(&self.folder)
            .timeout(context.timeout)
            .inherit_environment()
            .keep_apart()
            .env("ANSATZ_TRIAL", context.trial.to_string())
            .env("ANSATZ_REPEAT", context.repeat.to_string())
            .env("ANSATZ_SLOT", context.slot.to_string())
            .env("ANSATZ_SEED", context.seed.to_string());
        for (name, value) in params {
            command = command.env(variable(name), written(value));
        }
        let mut reader = Reader::new(goals.to_vec());
        let outcome = command.run(&mut |progress| match progress {
            Progress::Line(line) => watch(reader.hear(line)),
            Progress::Complaint(_) | Progress::Tick => watch(None),
        });
        match outcome {
            Ok(outcome) if outcome.succeeded() => match reader.result() {
                Ok(Found { values, is_ambiguous, .. }) => {
                    match values.iter().find(|value| !value.is_finite()) {
                        Some(odd) => Measured::Failed(format!("{ODD_RESULT} {odd}")),
                        None => Measured::Value { values, wall_s: outcome.wall_s, is_ambiguous },
                    }
                }
                Err(why) => Measured::Failed(format!("{why}; {}", last_words(&outcome.tail))),
            },
            Ok(outcome) => {
                let how = match (outcome.code, outcome.signal) {
                    (Some(code), _) => format!("exit code {code}"),
                    (None, Some(signal)) => format!("signal {signal}"),
                    (None, None) => "it ended oddly".into(),
                };
                Measured::Failed(format!("{how}; {}", last_words(&outcome.tail)))
            }
            Err(error) if error.is_timeout() => {
                Measured::Failed(format!("{NO_END} {} s", context.timeout.as_secs_f64()))
            }
            Err(error) if matches!(error.kind(), SandboxErrorKind::Closed) => Measured::CalledOff,
            Err(error) => Measured::Unusable(crate::cells::sandbox_error(&error).message),
        }
    }
}

/// What a run of the command is told beside its parameters.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The trial's number.
    pub trial: u32,
    /// Which repeat of the trial this is, from 0.
    pub repeat: u32,
    /// A number below the number of runs at the same time, for ports, folders and the like.
    pub slot: usize,
    /// For whatever the command draws by chance.
    pub seed: u32,
    /// Longest time that it may take.
    pub timeout: Duration,
}

/// The environment variable of a parameter: upper case, other signs than letters and digits as `_`.
fn variable(name: &str) -> String {
    let plain = |sign: char| if sign.is_ascii_alphanumeric() { sign.to_ascii_uppercase() } else { '_' };
    VARIABLE.to_owned() + &name.chars().map(plain).collect::<String>()
}

/// Two parameters that the environment could not tell apart, with the variable that both would have.
pub fn colliding(names: &[String]) -> Option<(String, String, String)> {
    names.iter().enumerate().find_map(|(at, name)| {
        let other = names[..at].iter().find(|other| variable(other) == variable(name))?;
        Some((other.clone(), name.clone(), variable(name)))
    })
}

/// A value as a command expects it: texts without quotes.
pub fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn last_words(tail: &[String]) -> String {
    match tail.iter().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("its last line: {}", line.trim().chars().take(WORDS_MAX).collect::<String>()),
        None => "it printed nothing".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_known_names_are_replaced() {
        let template = Template::new(vec!["a{x}b{y}{z}".into(), "{\"k\": {x}}".into()], Path::new("/"));
        let params = Params::from([("x".into(), json!(0.1)), ("z".into(), json!("t"))]);
        let names = ["x".to_owned(), "y".into(), "z".into()];
        assert_eq!(template.filled(&params, &names), ["a0.1bt", "{\"k\": 0.1}"]);
        assert!(template.names("x") && !template.names("k"));
    }

    #[test]
    fn a_place_for_no_parameter_is_noticed() {
        let unknown = |argument: &str| {
            let template = Template::new(vec!["sh".into(), argument.into()], Path::new("/"));
            template.names_unknown(&["x".into(), "rate".into()])
        };
        assert_eq!(unknown("run {x} --rate={rat}"), Some("rat".into()));
        assert_eq!(unknown("run {x} {rate} ${HOME} '{ print $1 }' {\"k\": 1} {1..3} {}"), None);
    }

    fn run(script: &str, params: &Params) -> Measured {
        let argv = ["sh", "-c", script].map(String::from).to_vec();
        let names: Vec<String> = params.keys().cloned().collect();
        let context = Context { trial: 0, repeat: 0, slot: 0, seed: 1, timeout: Duration::from_secs(5) };
        let go_on = &mut |_: Option<Report>| ControlFlow::Continue(());
        Template::new(argv, Path::new("/")).run(params, (&names, &[]), context, go_on)
    }

    #[test]
    fn parameters_arrive_both_ways() {
        let params = Params::from([("a-b".into(), json!(4)), ("on".into(), json!(true))]);
        let measured = run(
            "test $ANSATZ_PARAM_ON = true && echo {a-b} >&2; echo $((ANSATZ_PARAM_A_B + {a-b}))",
            &params,
        );
        assert!(matches!(&measured, Measured::Value { values, .. } if *values == [8.0]), "{measured:?}");
    }

    #[test]
    fn what_goes_wrong_is_told_with_the_last_words() {
        let failed = |script: &str| match run(script, &Params::new()) {
            Measured::Failed(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            failed("echo 3; echo out of memory >&2; exit 4"),
            "exit code 4; its last line: out of memory"
        );
        assert_eq!(failed("echo hello"), "it printed no number; its last line: hello");
        assert_eq!(failed("true"), "it printed no number; it printed nothing");
        assert_eq!(failed("echo inf"), "its result is inf");
        assert!(failed("kill -9 $$").starts_with("signal 9"));
    }

    #[test]
    fn parameters_that_the_environment_cannot_tell_apart_are_noticed() {
        let names = |all: &[&str]| -> Vec<String> { all.iter().map(|name| (*name).to_owned()).collect() };
        assert_eq!(colliding(&names(&["a-b", "c", "a_c"])), None);
        let (one, other, variable) = colliding(&names(&["a-b", "c", "A.b"])).unwrap();
        assert_eq!((one.as_str(), other.as_str(), variable.as_str()), ("a-b", "A.b", "ANSATZ_PARAM_A_B"));
    }

    #[test]
    fn a_missing_program_makes_the_rest_pointless() {
        let template = Template::new(vec!["/nowhere/bench".into()], Path::new("/"));
        let context = Context { trial: 0, repeat: 0, slot: 0, seed: 1, timeout: Duration::from_secs(5) };
        let measured = template.run(&Params::new(), (&[], &[]), context, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(measured, Measured::Unusable(why) if why.contains("/nowhere/bench")));
    }
}
