//! `ansatz chat`: a task in conversation, over plain lines, on a terminal or through a pipe.

use super::Session;
use super::maker::RunMaker;
use crate::console::{Style, write_out};
use crate::exit::{Exit, Failure};
use crate::signals;
use ansatz_core::outcome::RunResult;
use ansatz_engine::Control;
use ansatz_report::text::visible;
use ansatz_session::{Reply, Session as Conversation, Stage};
use clap::Args;
use std::io::BufRead as _;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the end of a run is looked for while nothing is typed.
const GLANCE: Duration = Duration::from_millis(50);
/// Letters of a line that are shown.
const WIDTH: usize = 400;

#[derive(Debug, Clone, PartialEq, Args)]
pub struct ChatArgs {
    /// A CSV, TSV or Parquet file, or a folder with train.csv, to begin with
    data: Option<String>,
    /// Flags of `ansatz run` that hold for all runs of this conversation
    #[arg(last = true, value_name = "FLAGS")]
    flags: Vec<String>,
}

/// What steers the run that goes on, for Ctrl-C.
type Current = Arc<Mutex<Option<Arc<Control>>>>;

/// Carries out `chat`: until its input ends, or the user leaves.
///
/// # Errors
/// The flags are no flags of `run`, or the terminal cannot be listened to.
pub fn execute(args: ChatArgs, session: Session) -> Result<Exit, Failure> {
    let (paint, is_terminal) = (session.console.out, session.surroundings.out_is_terminal);
    let maker = RunMaker::for_chat(session, args.flags);
    maker.check()?;
    let current = Current::default();
    let asked = Arc::clone(&current);
    signals::hear(Box::new(move || {
        let control = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Nothing goes on: leaving is what is wished.
        control
            .map_or_else(|| std::process::exit(i32::from(Exit::Interrupted as u8)), |control| control.ask());
    }))?;
    let mut chat = Chat { conversation: Conversation::new(Arc::new(maker)), current, paint, is_terminal };
    let lines = lines();
    chat.tell(&Reply::Said(
        "what is to be predicted, and in which file? (`help` shows examples, /quit leaves)".into(),
    ));
    if let Some(data) = args.data {
        chat.take_data(&data);
    }
    chat.talk(&lines);
    Ok(chat.exit())
}

/// The lines of standard input, from a thread that waits for them.
fn lines() -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    // The thread ends with its input, or with the process.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

struct Chat {
    conversation: Conversation,
    current: Current,
    paint: crate::console::Paint,
    is_terminal: bool,
}

impl Chat {
    fn talk(&mut self, lines: &Receiver<String>) {
        self.prompt();
        loop {
            match lines.recv_timeout(GLANCE) {
                Ok(line) => {
                    self.hear(&line);
                    self.wait_for_words();
                    if self.conversation.stage() == Stage::Ended {
                        break;
                    }
                    self.prompt();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.look_for_the_end();
        }
        // Whoever sent a file of sentences wants the run to its end; whoever leaves wants what there is.
        if self.conversation.stage() == Stage::Ended
            && let Some(control) = self.conversation.control()
        {
            control.finish();
        }
        while !self.conversation.wait(GLANCE) {}
        self.look_for_the_end();
    }

    /// An answer that is being thought about comes before the next sentence is heard.
    fn wait_for_words(&mut self) {
        while self.conversation.is_thinking() {
            self.look_for_news();
            std::thread::sleep(GLANCE);
        }
    }

    fn prompt(&self) {
        if self.is_terminal {
            write_out(self.paint.text(Style::Cyan, "> ").as_bytes());
        }
    }

    /// Takes what stands behind `chat` for the data, as it is: it may hold spaces, or look like words.
    fn take_data(&mut self, data: &str) {
        let paint = self.paint;
        self.conversation.set_data(data, &mut |reply| tell(paint, &reply));
    }

    fn hear(&mut self, line: &str) {
        let paint = self.paint;
        // A path may begin like a command.
        let text = if self.conversation.is_data(line) { line.trim().to_owned() } else { spoken(line) };
        if text.is_empty() {
            return;
        }
        self.conversation.say(&text, &mut |reply| tell(paint, &reply));
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) =
            self.conversation.control().filter(|_| self.conversation.stage() == Stage::Running);
    }

    fn tell(&self, reply: &Reply) {
        tell(self.paint, reply);
    }

    fn look_for_the_end(&mut self) {
        if self.look_for_news() {
            self.prompt();
        }
    }

    /// Tells what has come; whether there was anything.
    fn look_for_news(&mut self) -> bool {
        let news = self.conversation.news();
        if self.conversation.stage() != Stage::Running {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        if let Some(news) = &news {
            self.tell(news);
        }
        news.is_some()
    }

    /// The exit code of the last run; 0 when there was none.
    fn exit(&self) -> Exit {
        match self.conversation.seen().and_then(|seen| seen.end) {
            None => Exit::Ok,
            Some(Ok(result)) => {
                let result: &RunResult = &result;
                result.status.into()
            }
            Some(Err(error)) => error.kind.into(),
        }
    }
}

/// A command as the sentence that it stands for.
fn spoken(line: &str) -> String {
    let line = line.trim();
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "/plan" => "what is the plan".into(),
        "/status" => "status".into(),
        "/best" => "what is best".into(),
        "/leaderboard" => "leaderboard".into(),
        "/cost" => "what does it cost".into(),
        "/stop" => "stop".into(),
        "/why" => format!("why {}", if rest.is_empty() { "result" } else { rest }),
        "/quit" | "/exit" => "quit".into(),
        "/help" => "help".into(),
        "/steer" => rest.to_owned(),
        _ => match command.strip_prefix('/').filter(|name| !name.contains(['/', '.'])) {
            Some(name) => format!("{name} {rest}").trim_end().to_owned(),
            // No command, or a path.
            None => line.to_owned(),
        },
    }
}

fn tell(paint: crate::console::Paint, reply: &Reply) {
    let (style, text, hint) = match reply {
        Reply::Said(text) => (Style::Plain, text, None),
        Reply::Asked(text) => (Style::Bold, text, None),
        Reply::Trouble(text, hint) => (Style::Yellow, text, hint.as_ref()),
    };
    let mut out = String::new();
    for line in text.lines() {
        out.push_str(&paint.text(style, &visible(line, WIDTH)));
        out.push('\n');
    }
    if let Some(hint) = hint {
        out.push_str(&paint.text(Style::Dim, &format!("  {}", visible(hint, WIDTH))));
        out.push('\n');
    }
    write_out(out.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::spoken;

    #[test]
    fn commands_are_short_for_sentences() {
        assert_eq!(spoken("/steer drop the zip column"), "drop the zip column");
        assert_eq!(spoken("/why catboost"), "why catboost");
        assert_eq!(spoken("/why"), "why result");
        assert_eq!(spoken("  predict y in data.csv "), "predict y in data.csv");
        assert_eq!(spoken("/leaderboard"), "leaderboard");
        assert_eq!(spoken("/drop the zip column"), "drop the zip column");
    }

    #[test]
    fn a_path_keeps_its_slash() {
        for path in ["/home/me/churn.csv", "/churn.csv", "/home/me/my data.csv", "./data", "../data"] {
            assert_eq!(spoken(path), path);
        }
        assert_eq!(spoken("the data is in /home/me/churn.csv"), "the data is in /home/me/churn.csv");
    }
}
