//! Runs out of wishes: what a conversation or a caller asks for becomes what `run` would have been given, with the same
//! configuration, defaults and checks.

use super::run::{self, RunArgs};
use super::{Global, Session, ray};
use crate::exit::Failure;
use crate::folders::{self, Run};
use crate::llm;
use crate::sources;
use ansatz_core::clock::Clock;
use ansatz_engine::{Aside, Keys, LlmOptions, Observer, Options, Silent, Source, SourceSettings};
use ansatz_server::{Asked, TaskMaker};
use ansatz_session::{Maker, Trouble, Wishes};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Flags of `run`, by themselves.
#[derive(Parser)]
#[command(name = "run", no_binary_name = true, disable_help_flag = true)]
struct Alone {
    /// Some flags of `run` do not go together with these.
    #[command(flatten)]
    _global: Global,
    #[command(flatten)]
    args: RunArgs,
}

/// Flags that a wish replaces.
const REPLACED_BY_TIME: &[&str] = &["--seconds", "--minutes", "--trials"];

/// Makes runs for chat and server.
pub struct RunMaker {
    session: Session,
    /// Flags of `run` that hold for all runs.
    flags: Vec<String>,
    /// Below which callers may name data; `None` lets nothing be named.
    data_root: Option<PathBuf>,
    /// Whether runs are shown on standard error: to whoever sits at this machine, rather than to callers.
    is_shown: bool,
}

fn trouble(failure: Failure) -> Trouble {
    Trouble { message: failure.message, hint: failure.hint }
}

impl RunMaker {
    /// For a chat: any path may be named, runs are shown.
    pub fn for_chat(session: Session, flags: Vec<String>) -> Self {
        Self { session, flags, data_root: None, is_shown: true }
    }

    /// For a server.
    pub fn for_server(session: Session, flags: Vec<String>, data_root: Option<PathBuf>) -> Self {
        Self { session, flags, data_root, is_shown: false }
    }

    /// Looks whether the flags are flags of `run`, before anything depends on it.
    ///
    /// # Errors
    /// They are not, or they do not go together.
    pub fn check(&self) -> Result<(), Failure> {
        self.resolved(Path::new("data.csv"), &[]).map(drop)
    }

    fn resolved(&self, data: &Path, wished: &[String]) -> Result<Options, Failure> {
        let has_time = wished.iter().any(|flag| REPLACED_BY_TIME.contains(&flag.as_str()));
        let named = data.to_string_lossy().into_owned();
        let is_source = sources::is_source(&named, &self.session.config);
        let absolute = || self.session.surroundings.absolute(data).display().to_string();
        let mut words = vec![if is_source { named } else { absolute() }];
        let mut flags = self.flags.iter();
        while let Some(flag) = flags.next() {
            let name = flag.split('=').next().unwrap_or_default();
            if has_time && REPLACED_BY_TIME.contains(&name) {
                if !flag.contains('=') {
                    flags.next();
                }
                continue;
            }
            words.push(flag.clone());
        }
        words.extend(wished.iter().cloned());
        let parsed = Alone::try_parse_from(words).map_err(|error| {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Failure::usage(first)
                .hint("what stands behind `--` are flags of `ansatz run`; `ansatz run --help` lists them")
        })?;
        let mut options = run::resolve(&parsed.args, &self.session)?;
        if let Some(source) = &mut options.source {
            // What a caller names may be a place that only this machine can reach.
            source.settings.any_host = self.is_shown;
        }
        Ok(options)
    }

    fn options(&self, data: &Path, wishes: &Wishes, seed: Option<u64>) -> Result<Options, Trouble> {
        let mut flags = Vec::new();
        let mut flag = |name: &str, value: Option<String>| {
            flags.extend(value.map(|value| [name.to_owned(), value]).into_iter().flatten());
        };
        if let Some(metric) = wishes.metric.as_ref().filter(|metric| metric.contains(['/', '.', '\\'])) {
            let message = format!("{metric:?} is not the name of a metric");
            return Err(Trouble {
                message,
                hint: Some("a metric of your own can be given to `ansatz run`".into()),
            });
        }
        flag("--metric", wishes.metric.clone());
        flag("--target", wishes.target.clone());
        flag("--seed", seed.map(|seed| seed.to_string()));
        match (wishes.trials, wishes.seconds) {
            (Some(trials), _) => flag("--trials", Some(trials.to_string())),
            (None, seconds) => flag("--seconds", seconds.map(|seconds| seconds.to_string())),
        }
        let mut options = self.resolved(data, &flags).map_err(trouble)?;
        run::look_at_inputs(&options).map_err(trouble)?;
        // Words are words: a text that begins with @ names no file here.
        options.request =
            Some(wishes.words.trim().to_owned()).filter(|words| !words.is_empty()).or(options.request);
        options.steer.clone_from(&wishes.steer);
        Ok(options)
    }

    fn keys_of(&self, llm: Option<&LlmOptions>) -> Keys {
        let cluster = ray::keys(&ray::TokenArgs::default(), &self.session).unwrap_or_default();
        let surroundings = &self.session.surroundings;
        Keys { llm: llm::keys(llm, surroundings), hf: sources::token(surroundings), ..cluster }
    }
}

impl Maker for RunMaker {
    fn make(&self, wishes: &Wishes, is_rehearsal: bool) -> Result<(Options, Keys), Trouble> {
        let named = wishes.data.clone().unwrap_or_default();
        // Whatever way a caller's words came here, they name data only where callers may.
        let data = if self.is_shown { PathBuf::from(named) } else { self.data(&named)? };
        let mut options = self.options(&data, wishes, None)?;
        if is_rehearsal {
            options.dry_run = true;
            options.out = options.home.join("rehearsals").join(options.run.as_str());
        }
        let keys = self.keys_of(options.llm.as_ref());
        Ok((options, keys))
    }

    fn interrupted(&self, named: Option<&str>) -> Result<(PathBuf, PathBuf, Keys), Trouble> {
        let folder = match named {
            Some(named) => self.session.find_run(named),
            None => folders::latest_unfinished(&self.session.runs_folder()),
        };
        let folder = folder.map_err(trouble)?;
        if !self.is_shown && folder.parent() != Some(self.session.runs_folder().as_path()) {
            let message = "only runs of this server can go on".to_owned();
            return Err(Trouble { message, hint: None });
        }
        let live = Run::read(&folder).map_err(|error| trouble(error.into()))?.live;
        let llm: Option<LlmOptions> =
            live.options.get("llm").and_then(|llm| serde_json::from_value(llm.clone()).ok());
        Ok((folder, self.session.home().map_err(trouble)?, self.keys_of(llm.as_ref())))
    }

    fn is_there(&self, word: &str) -> bool {
        // A caller's sentence must not find out what is on this machine.
        sources::is_source(word, &self.session.config)
            || self.is_shown && !word.starts_with('-') && self.session.surroundings.folder.join(word).exists()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.session.clock)
    }

    fn thinks(&self) -> bool {
        self.resolved(Path::new("data.csv"), &[]).is_ok_and(|options| options.llm.is_some())
    }

    fn aside(&self) -> Result<Option<Aside>, Trouble> {
        let options = self.resolved(Path::new("data.csv"), &[]).map_err(trouble)?;
        Ok(Aside::connect(&options, &self.keys_of(options.llm.as_ref()), &self.clock())?)
    }

    fn observer(&self) -> Box<dyn Observer> {
        if self.is_shown { Box::new(self.session.line_watcher()) } else { Box::new(Silent) }
    }
}

impl TaskMaker for RunMaker {
    fn make_task(&self, asked: &Asked, data: &Path, test: Option<&Path>) -> Result<(Options, Keys), Trouble> {
        let wishes = Wishes {
            data: None,
            words: asked.task.clone().unwrap_or_default(),
            target: asked.target.clone(),
            metric: asked.metric.clone(),
            seconds: asked.seconds.or(asked.minutes.map(|minutes| minutes * 60.0)),
            trials: asked.trials,
            steer: Vec::new(),
        };
        let mut options = self.options(data, &wishes, asked.seed)?;
        options.test = test.map(Path::to_path_buf).or(options.test);
        options.asks_back = true;
        let keys = self.keys(&options);
        Ok((options, keys))
    }

    fn anew(&self, options: Options) -> Result<Options, Trouble> {
        run::look_at_inputs(&options).map_err(trouble)?;
        let run = run::run_id(&options.data, &self.session);
        let out = self.session.runs_folder().join(run.as_str());
        Ok(Options { run, out, ..options })
    }

    fn keys(&self, options: &Options) -> Keys {
        self.keys_of(options.llm.as_ref())
    }

    fn maker(self: Arc<Self>) -> Arc<dyn Maker> {
        self
    }

    fn data(&self, named: &str) -> Result<PathBuf, Trouble> {
        let refused = |message: String| Trouble {
            message,
            hint: Some(
                "upload the data by POST /v1/uploads, or start the server with --data-root FOLDER".into(),
            ),
        };
        let settings = SourceSettings { any_host: false, ..sources::settings(&self.session.config) };
        if let Some(source) = Source::read(named, &settings) {
            let allowed = source.and_then(|source| settings.allow(&source));
            return allowed.map(|()| PathBuf::from(named)).map_err(|error| trouble(sources::failure(error)));
        }
        let root = self.data_root.as_ref().ok_or_else(|| refused("this server takes no paths".into()))?;
        let root = root.canonicalize().map_err(|error| refused(format!("the data folder: {error}")))?;
        // What is outside and what is not there sound the same: a caller learns nothing about this machine.
        let found = root.join(named).canonicalize().ok().filter(|path| path.starts_with(&root));
        found.ok_or_else(|| refused(format!("there is no {named:?} in the data folder")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::session;

    fn wishes(data: &Path) -> Wishes {
        Wishes { data: Some(data.display().to_string()), ..Wishes::default() }
    }

    /// A folder with data that callers may name, and with others.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("shared")).unwrap();
        std::fs::write(folder.path().join("shared/open.csv"), "a,b\n1,2\n").unwrap();
        std::fs::write(folder.path().join("private.csv"), "a,b\n1,2\n").unwrap();
        folder
    }

    #[test]
    fn callers_name_data_below_the_data_folder_alone() {
        let folder = folder();
        let server = RunMaker::for_server(session(&[]), Vec::new(), Some(folder.path().join("shared")));
        let made = |data: &str| server.make(&wishes(Path::new(data)), false).map(|(options, _)| options.data);
        let open = folder.path().join("shared/open.csv").canonicalize().unwrap();
        assert_eq!(made("open.csv"), Ok(open));
        let private = folder.path().join("private.csv").display().to_string();
        for outside in [private.as_str(), "../private.csv", "/etc/passwd", "absent.csv"] {
            assert!(made(outside).is_err(), "{outside}");
        }
        // Whoever sits at this machine may name anything.
        let chat = RunMaker::for_chat(session(&[]), Vec::new());
        assert!(chat.make(&wishes(&folder.path().join("private.csv")), false).is_ok());
    }

    #[test]
    fn only_runs_of_the_server_go_on() {
        let (folder, runs) = (folder(), tempfile::tempdir().unwrap());
        for place in [folder.path().join("run"), runs.path().join("run")] {
            std::fs::create_dir(&place).unwrap();
            std::fs::write(place.join(ansatz_journal::FILE_NAME), "").unwrap();
        }
        let session = session(&[("ANSATZ_RUNS", runs.path().to_str().unwrap())]);
        let server = RunMaker::for_server(session, Vec::new(), None);
        let goes_on = |folder: &Path| server.interrupted(folder.to_str()).is_ok();
        assert!(goes_on(&runs.path().join("run")));
        assert!(!goes_on(&folder.path().join("run")));
    }

    #[test]
    fn the_same_again_is_another_run() {
        let folder = folder();
        let server = RunMaker::for_server(session(&[]), Vec::new(), Some(folder.path().join("shared")));
        let (first, _) = server.make(&wishes(Path::new("open.csv")), false).unwrap();
        let second = server.anew(first.clone()).unwrap();
        assert_ne!((&second.run, &second.out), (&first.run, &first.out));
        assert_eq!(second.data, first.data);
        let gone = Options { data: folder.path().join("gone.csv"), ..first };
        assert!(server.anew(gone).is_err());
    }
}
