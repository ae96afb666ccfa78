//! Arguments: what is accepted, what is refused, and what it means together with the configuration.

use super::*;
use ansatz_engine::Options;
use ansatz_sandbox::{BackendChoice, Level};
use std::time::Duration;

/// A session without files, with these variables.
pub fn session(variables: &[(&str, &str)]) -> Session {
    let mut all = vec![("HOME", "/home/me")];
    all.extend(variables);
    let surroundings = Surroundings::made_up(Path::new("/nowhere"), &all);
    let global = Global { json: false, quiet: false, verbose: false };
    Session::new(global, surroundings).unwrap()
}

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("ansatz").chain(line.split_whitespace()))
}

fn refused(line: &str, expected: &str) {
    let error = parsed(line).map(|_| ()).unwrap_err().render().to_string();
    assert!(error.starts_with("error: ") && error.contains(expected), "{line}: {error}");
}

fn options(line: &str, variables: &[(&str, &str)]) -> Options {
    let Command::Run(args) = parsed(line).unwrap().command else { panic!("{line} is no run") };
    run::resolve(&args, &session(variables)).unwrap()
}

#[test]
fn the_definition_is_sound() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

#[test]
fn every_subcommand_is_understood() {
    for line in [
        "run data.csv",
        "run data --task x --target y --id i --metric rmse --test t --sample s --out o --minutes 1 --trials 3 --jobs 2 --seed 7",
        "run data --seconds 0.5 --strict --sandbox native --no-memory --dry-run --plan p.json --yes --json -q",
        "run data --json-stream -v --memory m",
        "resume",
        "run data --sandbox ray --ray-address http://h:8265 --ray-token-file t --ray-cpus 4 --ray-memory 8 --ray-share s",
        "resume r --json-stream --ray-token-file t",
        "runs --all --json",
        "predict r file.csv --out o.csv",
        "predict r --row a=1,b=2",
        "why r c3",
        "why r",
        "compare a b",
        "verify r",
        "memory ls",
        "memory show r",
        "memory forget r",
        "memory export f",
        "memory import f",
        "memory rebuild",
        "memory stats --json",
        "doctor --json",
        "doctor --sandbox bwrap -v",
        "run data --gpus 2",
        "run data --gpus auto",
        "config show",
        "completions zsh",
        "run d --llm http://127.0.0.1:1/v1 --model m --require-llm --max-tokens 9 --max-usd 0.5 --record r",
        "run d --replay r",
        "prompts export p",
        "prompts check p --json",
    ] {
        assert!(parsed(line).is_ok(), "{line}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    refused("run", "<DATA>");
    refused("run data --minutes 1 --seconds 2", "cannot be used with");
    refused("run data --seconds 0", "above 0");
    refused("run data --trials 0", "--trials");
    refused("run data --jobs 0", "--jobs");
    refused("run data --gpus many", "a number up to 64");
    refused("run data --seed -1", "-1");
    refused("run data --sandbox docker", "possible values: auto, native, bwrap");
    refused("run data --no-memory --memory m", "cannot be used with");
    refused("run data --json --json-stream", "cannot be used with");
    refused("run data -q -v", "cannot be used with");
    refused("run data --record a --replay b", "cannot be used with");
    refused("run data --max-usd -1", "-1");
    refused("run data --max-usd much", "must be a number");
    refused("run data --minute 1", "similar argument exists: '--minutes'");
    refused("predict r", "required");
    refused("predict r f.csv --row a=1", "cannot be used with");
    refused("rum data", "similar subcommand");
}

#[test]
fn help_is_no_error() {
    assert!(!parsed("--help").unwrap_err().use_stderr());
    assert!(!parsed("--version").unwrap_err().use_stderr());
}

#[test]
fn a_run_without_flags_takes_the_defaults() {
    let options = options("run my/data.csv", &[]);
    assert_eq!(options.data, Path::new("/nowhere/my/data.csv"));
    assert_eq!(options.out, Path::new("/nowhere/runs").join(options.run.as_str()));
    assert_eq!(options.home, Path::new("/home/me/.local/share/ansatz"));
    assert_eq!(options.memory, Some(options.home.join("memory")));
    assert_eq!((options.jobs, options.seed.0, options.strict, options.dry_run), (2, 0, false, false));
    assert_eq!(options.budget, ansatz_core::budget::Budget::default());
}

#[test]
fn flags_outweigh_the_environment() {
    let set = [("ANSATZ_JOBS", "5"), ("ANSATZ_SEED", "8"), ("ANSATZ_HOME", "/state")];
    let by_environment = options("run d", &set);
    assert_eq!((by_environment.jobs, by_environment.seed.0), (5, 8));
    assert_eq!(by_environment.memory, Some("/state/memory".into()));
    let by_flag = options("run d --jobs 3 --seed 9 --memory m", &set);
    assert_eq!((by_flag.jobs, by_flag.seed.0), (3, 9));
    assert_eq!(by_flag.memory, Some("/nowhere/m".into()));
}

#[test]
fn a_limit_by_flag_replaces_all_limits() {
    let set = [("ANSATZ_MINUTES", "2")];
    assert_eq!(options("run d", &set).budget.wall, Some(Duration::from_mins(2)));
    let counted = options("run d --trials 30", &set).budget;
    assert_eq!((counted.wall, counted.trials), (None, Some(30)));
    let timed = options("run d --seconds 1.5", &set).budget;
    assert_eq!((timed.wall, timed.trials), (Some(Duration::from_millis(1500)), None));
    assert_eq!(options("run d --minutes 0.5", &[]).budget.wall, Some(Duration::from_secs(30)));
}

fn model(line: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
    let Command::Run(args) = parsed(line).unwrap().command else { panic!("{line} is no run") };
    let options = run::resolve(&args, &session(variables)).map_err(|failure| failure.message)?;
    let text = serde_json::to_string(&options).unwrap();
    assert!(!text.contains("sk-"), "no key is journalled: {text}");
    let shown = |choice: &ansatz_llm::EndpointChoice| format!("{} {}", choice.base, choice.model);
    Ok(options.llm.map(|llm| llm.setup.endpoints.iter().map(shown).collect::<Vec<_>>().join("; ")))
}

#[test]
fn a_language_model_is_chosen_by_flag_environment_or_not_at_all() {
    assert_eq!(model("run d", &[("OPENAI_API_KEY", "sk-1")]), Ok(None), "never because of a key alone");
    assert_eq!(model("run d --llm http://a/v1 --model m", &[]), Ok(Some("http://a/v1 m".into())));
    let set =
        [("ANSATZ_LLM_BASE_URL", "http://b/v1"), ("ANSATZ_LLM_MODEL", "n"), ("ANSATZ_LLM_API_KEY", "sk-2")];
    assert_eq!(model("run d", &set), Ok(Some("http://b/v1 n".into())));
    assert_eq!(model("run d --model m", &set), Ok(Some("http://b/v1 m".into())));
    assert_eq!(
        model("run d --model gpt-x", &[("OPENAI_API_KEY", "sk-1")]),
        Ok(Some("https://api.openai.com/v1 gpt-x".into()))
    );
    let own = [("OPENAI_BASE_URL", "http://c/v1"), ("OPENAI_API_KEY", "sk-1")];
    assert_eq!(model("run d --model m", &own), Ok(Some("http://c/v1 m".into())));
    assert_eq!(model("run d", &own), Ok(None));
}

#[test]
fn a_language_model_that_cannot_be_used_is_said() {
    assert_eq!(
        model("run d --llm http://a/v1", &[]),
        Err("a language model's endpoint is set, but no model".into())
    );
    assert_eq!(
        model("run d --require-llm", &[]),
        Err("a language model is required, but none is configured".into())
    );
    let unpriced = model("run d --llm http://a/v1 --model m --max-usd 1", &[]);
    assert_eq!(unpriced, Err("no price is known for m, so --max-usd cannot be kept".into()));
    let capped = options("run d --max-tokens 0", &[("ANSATZ_MAX_USD", "2")]).budget;
    assert_eq!((capped.tokens, capped.usd), (Some(0), Some(2.0)));
}

#[test]
fn memory_can_be_switched_off() {
    assert_eq!(options("run d --no-memory", &[]).memory, None);
    assert_eq!(options("run d", &[("ANSATZ_MEMORY", "no")]).memory, None);
    assert!(options("run d --memory m", &[("ANSATZ_MEMORY", "no")]).memory.is_some());
}

#[test]
fn the_walls_are_chosen_by_name() {
    assert_eq!(options("run d", &[]).sandbox, BackendChoice::Auto);
    assert_eq!(options("run d --sandbox bwrap", &[]).sandbox, BackendChoice::Bwrap);
    let off = options("run d --sandbox off", &[]).launcher();
    assert_eq!((off.backend, off.level_min), (BackendChoice::Off, Level::L1));
    assert_eq!(options("run d --strict", &[]).launcher().level_min, Level::L3);
}

#[test]
fn no_sandbox_and_the_strictest_are_not_asked_for_together() {
    for (line, variables) in
        [("run d --sandbox off --strict", &[][..]), ("run d --sandbox off", &[("ANSATZ_STRICT", "1")])]
    {
        let Command::Run(args) = parsed(line).unwrap().command else { panic!("no run") };
        let failure = run::resolve(&args, &session(variables)).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("--strict") && failure.hint.is_some());
    }
}

#[test]
fn the_task_may_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task.md");
    std::fs::write(&path, "predict y, scored by RMSE").unwrap();
    let line = format!("run d --task @{}", path.display());
    assert_eq!(options(&line, &[]).request.as_deref(), Some("predict y, scored by RMSE"));
    let Command::Run(args) = parsed("run d --task @missing.md").unwrap().command else { panic!("no run") };
    let failure = run::resolve(&args, &session(&[])).unwrap_err();
    assert!(failure.message.starts_with("the task text /nowhere/missing.md: "), "{}", failure.message);
}

#[test]
fn without_a_home_the_user_is_told_what_to_set() {
    let surroundings = Surroundings::made_up(Path::new("/nowhere"), &[]);
    let global = Global { json: false, quiet: false, verbose: false };
    let failure = Session::new(global, surroundings).unwrap().home().unwrap_err();
    assert!(failure.hint.is_some_and(|hint| hint.contains("ANSATZ_HOME")));
}
