//! A sentence cut into clauses, and the mood of each: whether it asks, denies, orders, or wants a model.
//!
//! A sentence is cut at marks and at words that join; what stands in quotes is one word, and a time in two parts ("1 hour
//! and 30 minutes") stays whole. What a clause can mean depends on its mood: only an order is carried out.

use super::data;
use super::orders;
use super::request;
use ansatz_agents::understand::{figured, is_one_time};

/// What a clause does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It asks.
    Question,
    /// It wants to see something, or to have it: an order that is answered like a question.
    Show,
    /// It says that something is not to be, or is not so.
    Negated,
    /// It wants a model.
    Request,
    /// It orders something, or states it.
    Order,
}

/// A word, or several in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// As it was written, without the marks behind it.
    written: String,
    /// Without quotes and brackets.
    pub(super) bare: String,
    pub(super) is_quoted: bool,
}

/// How a clause follows the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Joint {
    /// The mark between them.
    mark: Option<char>,
    /// Whether "and" stands between them, or a word like it.
    pub(super) is_and: bool,
    /// Whether "but" does.
    is_but: bool,
}

impl Joint {
    /// Whether the clause can go on with a list that the one before began.
    pub(super) fn lists(self) -> bool {
        matches!(self.mark, None | Some(',')) && !self.is_but
    }

    /// Whether what was said of the clause before holds for this one as well: "should I drop age and submit?"
    fn carries(self) -> bool {
        self.is_and && self.lists()
    }
}

/// A part of a sentence that is read by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) words: Vec<Word>,
    /// In small letters.
    pub(super) small: String,
    /// In small letters, amounts in figures, without the polite words around it.
    pub(super) plain: String,
    pub(super) mood: Mood,
    pub(super) joint: Joint,
    /// Whether a question mark ends it.
    is_marked: bool,
    /// Files, folders and sources that it names.
    pub(super) data: Vec<String>,
}

impl Clause {
    /// The clause as it was written.
    pub(super) fn written(&self) -> String {
        self.words.iter().map(|word| word.written.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// The same with its question mark.
    pub(super) fn quoted(&self) -> String {
        if self.is_marked { format!("{}?", self.written()) } else { self.written() }
    }

    /// The clause as if it said only this part of its plain words.
    pub(super) fn saying(&self, plain: &str) -> Self {
        Self { plain: plain.to_owned(), ..self.clone() }
    }

    /// Words as they were written, before they were made small.
    pub(super) fn as_written(&self, small: &str) -> String {
        let length = small.split_whitespace().count().max(1);
        let bare = |words: &[Word]| words.iter().map(|word| word.bare.as_str()).collect::<Vec<_>>().join(" ");
        let quoted = self.words.iter().filter(|word| word.is_quoted).map(|word| word.bare.clone());
        quoted
            .chain(self.words.windows(length).map(bare))
            .find(|found| found.to_lowercase() == small)
            .unwrap_or_else(|| small.to_owned())
    }

    /// What stands in quotes, if anything does.
    pub(super) fn in_quotes(&self) -> Option<&str> {
        self.words.iter().find(|word| word.is_quoted).map(|word| word.bare.as_str())
    }
}

/// Cuts a text into clauses. `is_path` says whether a word names a file or folder that is there.
pub(super) fn clauses(text: &str, is_path: &dyn Fn(&str) -> bool) -> Vec<Clause> {
    let tokens = tokens(text);
    let mut cutter = Cutter { clauses: Vec::new(), open: Vec::new(), joint: Joint::default(), is_path };
    for (at, Token { word, mark }) in tokens.iter().enumerate() {
        let behind = tokens[at + 1..].iter().take(TIME_WORDS_MAX);
        let behind: Vec<&str> = behind.map(|token| token.word.bare.as_str()).collect();
        let last = cutter.open.last().map_or("", |word| word.bare.as_str());
        if is_joint(word) && !is_one_time(last, &behind) {
            cutter.end(None);
            let is_but = word.bare.eq_ignore_ascii_case("but");
            cutter.joint = Joint { is_and: !is_but, is_but, ..cutter.joint };
            continue;
        }
        let is_label = *mark == Some(':') && LABELS.contains(&word.bare.to_lowercase().as_str());
        let goes_on = *mark == Some(',') && is_one_time(&word.bare, &behind);
        if is_label {
            let [written, bare] = [&word.written, &word.bare].map(|text| format!("{text}:"));
            cutter.open.push(Word { written, bare, is_quoted: false });
        } else if !word.bare.is_empty() {
            cutter.open.push(word.clone());
        }
        if mark.is_some() && !is_label && !goes_on {
            cutter.end(*mark);
        }
    }
    cutter.end(None);
    cutter.clauses
}

struct Cutter<'a> {
    clauses: Vec<Clause>,
    /// Words of the clause that is being read.
    open: Vec<Word>,
    joint: Joint,
    is_path: &'a dyn Fn(&str) -> bool,
}

impl Cutter<'_> {
    /// Ends the open clause at a mark, or at a word that joins.
    fn end(&mut self, mark: Option<char>) {
        let words = std::mem::take(&mut self.open);
        if words.is_empty() {
            // A mark by itself belongs to what stands before it.
            if let (Some('?'), Some(last)) = (mark, self.clauses.last_mut()) {
                (last.is_marked, last.mood) = (true, Mood::Question);
            }
            return;
        }
        let joint = std::mem::replace(&mut self.joint, Joint { mark, ..Joint::default() });
        let small = words.iter().map(|word| word.bare.to_lowercase()).collect::<Vec<_>>().join(" ");
        let data = data::named(&words, self.is_path);
        let is_marked = mark == Some('?');
        let (plain, mood) = mood(&small, is_marked, !data.is_empty(), joint, self.clauses.last());
        self.clauses.push(Clause { words, small, plain, mood, joint, is_marked, data });
    }
}

/// Words that the second part of a time may take, and one behind it.
const TIME_WORDS_MAX: usize = 8;
/// Words that join clauses.
const JOINTS: &[&str] = &["and", "then", "but", "also", "&"];
/// Words before a colon that say what follows it.
const LABELS: &[&str] =
    &["target", "label", "metric", "column", "columns", "budget", "time", "data", "dataset", "file"];
/// Marks that end a clause.
const MARKS: [char; 6] = [',', ';', '.', '!', '?', ':'];
/// Brackets and quotes around words.
const AROUND: [char; 14] = ['(', ')', '[', ']', '{', '}', '"', '\'', '`', '“', '”', '‘', '’', '„'];
/// Quotes and what closes them.
const QUOTES: &[(char, &[char])] = &[
    ('"', &['"']),
    ('\'', &['\'']),
    ('`', &['`']),
    ('“', &['”']),
    ('„', &['“', '”']),
    ('‘', &['’']),
    ('«', &['»']),
];

fn is_joint(word: &Word) -> bool {
    !word.is_quoted && JOINTS.contains(&word.bare.to_lowercase().as_str())
}

/// A word and the mark behind it.
struct Token {
    word: Word,
    mark: Option<char>,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut rest = text.trim_start();
    let mut tokens = Vec::new();
    while !rest.is_empty() {
        let (token, behind) = in_quotes(rest).unwrap_or_else(|| one_word(rest));
        tokens.push(token);
        rest = behind.trim_start();
    }
    tokens
}

/// The words in quotes that a text begins with, and what is behind them.
fn in_quotes(text: &str) -> Option<(Token, &str)> {
    let first = text.chars().next()?;
    let (_, closing) = QUOTES.iter().find(|(quote, _)| *quote == first)?;
    let inside = &text[first.len_utf8()..];
    let is_end = |(at, mark): &(usize, &str)| {
        let behind = inside[at + mark.len()..].chars().next();
        !behind.is_some_and(char::is_alphanumeric)
    };
    let (at, mark) = inside.match_indices(*closing).find(is_end)?;
    let bare = inside[..at].trim();
    let behind = &inside[at + mark.len()..];
    let tail = &behind[..behind.find(char::is_whitespace).unwrap_or(behind.len())];
    if bare.is_empty() || tail.chars().any(char::is_alphanumeric) {
        return None;
    }
    let written = text[..text.len() - behind.len()].to_owned();
    let word = Word { written, bare: bare.to_owned(), is_quoted: true };
    Some((Token { word, mark: mark_in(tail) }, &behind[tail.len()..]))
}

/// The word that a text begins with, and what is behind it.
fn one_word(text: &str) -> (Token, &str) {
    let (whole, behind) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    let core = whole.trim_end_matches(|c: char| MARKS.contains(&c) || AROUND.contains(&c));
    let mark = mark_in(&whole[core.len()..]);
    let written = whole.trim_end_matches(MARKS).to_owned();
    let word = Word { written, bare: core.trim_start_matches(AROUND).to_owned(), is_quoted: false };
    (Token { word, mark }, behind)
}

/// The mark that counts among those behind a word.
fn mark_in(tail: &str) -> Option<char> {
    if tail.contains('?') { Some('?') } else { tail.chars().rev().find(|c| MARKS.contains(c)) }
}

/// Words that mean nothing before a wish.
const POLITE: &[&str] = &[
    "please", "kindly", "so", "well", "just", "now", "maybe", "perhaps", "actually", "rather", "instead",
    "hi", "hello", "hey",
];
/// Phrases before a wish that only say that it is one.
const WISHES: &[&str] = &[
    "i want you to",
    "i want to",
    "i would like you to",
    "i would like to",
    "i'd like you to",
    "i'd like to",
    "i need you to",
    "i need to",
    "i would",
    "i'd",
    "we want to",
    "we would like to",
    "we'd like to",
    "we need to",
    "we should",
    "i should",
    "you should",
    "you can",
    "you could",
    "you may",
    "you must",
    "you have to",
    "i think we should",
    "i think you should",
    "let's",
    "lets",
    "let us",
    "feel free to",
    "it's time to",
    "it is time to",
    "time to",
    "try to",
    "help me to",
    "help me",
    "how about",
];
/// Questions that are orders in a polite form, where a verb of an order follows.
const POLITE_QUESTIONS: &[&str] = &["can you", "could you", "would you", "will you"];
/// Phrases before a question.
const ASKING: &[&str] = &[
    "tell me",
    "let me know",
    "i want to know",
    "we want to know",
    "i'd like to know",
    "i would like to know",
    "i need to know",
    "i wonder",
    "i'm wondering",
    "i am wondering",
    "i'm curious",
    "i am curious",
    "do you know",
    "do you think",
    "any idea",
    "remind me",
    "explain to me",
    "explain",
];
/// Verbs that orders begin with.
const VERBS: &[&str] = &[
    "add", "avoid", "begin", "build", "change", "classify", "continue", "create", "deliver", "disable",
    "display", "do", "download", "drop", "end", "estimate", "evaluate", "exclude", "explain", "export",
    "figure", "find", "finish", "forecast", "forget", "get", "give", "go", "ignore", "judge", "keep",
    "learn", "leave", "limit", "list", "make", "maximise", "maximize", "measure", "minimise", "minimize",
    "not", "omit", "optimise", "optimize", "predict", "prefer", "print", "put", "remove", "repeat", "rerun",
    "restrict", "resume", "run", "save", "score", "set", "show", "skip", "spend", "start", "stop", "submit",
    "switch", "take", "tell", "train", "try", "use", "wrap", "write",
];
/// Words that questions begin with.
const ASKS: &[&str] = &[
    "what", "whats", "how", "hows", "why", "where", "wheres", "when", "which", "who", "whos", "whose",
    "whom", "is", "are", "am", "was", "were", "does", "did", "has", "had", "should", "would", "could", "can",
    "will", "may", "might", "shall", "any", "anything",
];
/// Words that make a question of those verbs which also begin orders: "do you use age".
const ASKED: &[&str] = &["you", "we", "they", "i", "the", "these", "those", "all", "any"];
/// Phrases that orders to show something begin with.
const SHOWS: &[&str] = &[
    "show",
    "list",
    "print",
    "display",
    "let me see",
    "i want to see",
    "give me the",
    "give me my",
    "give me your",
    "give me all",
    "get me the",
    "get me my",
    "send me",
    "save",
    "download",
    "export",
    "write",
];
/// Words that deny what follows them.
const DENIES: &[&str] = &[
    "not",
    "never",
    "don't",
    "dont",
    "doesn't",
    "doesnt",
    "didn't",
    "didnt",
    "isn't",
    "isnt",
    "aren't",
    "arent",
    "wasn't",
    "won't",
    "wont",
    "wouldn't",
    "shouldn't",
    "mustn't",
    "needn't",
    "neednt",
    "can't",
    "cant",
    "cannot",
    "couldn't",
    "haven't",
    "hasn't",
];
/// Verbs of wishes that a denial does not reach over an "and": "don't stop and give it ten more minutes".
const UNDENIED: &[&str] = &["give", "take", "use", "spend", "make", "keep", "let", "set", "go", "continue"];

/// The mood of a clause, and its words in small letters without the polite ones around it.
fn mood(
    small: &str,
    is_marked: bool,
    has_data: bool,
    joint: Joint,
    before: Option<&Clause>,
) -> (String, Mood) {
    let figured = figured(small);
    let Bared { rest, asks, is_polite } = bared(&figured);
    let before = before.filter(|_| joint.carries());
    let is_asked_on =
        before.is_some_and(|before| before.mood == Mood::Question && distributes(&before.plain));
    let is_denied_on = before.is_some_and(|before| before.mood == Mood::Negated)
        && !UNDENIED.iter().any(|verb| begins(rest, verb).is_some());
    let mood = if SHOWS.iter().any(|show| begins(rest, show).is_some()) && !is_asked_on {
        Mood::Show
    } else if asks || is_asked_on || starts_question(rest) || is_marked && !is_polite {
        Mood::Question
    } else if is_denied_on || denies(rest) && orders::target(rest).is_none() {
        Mood::Negated
    } else if request::is_request(rest, has_data) {
        Mood::Request
    } else {
        Mood::Order
    };
    (rest.to_owned(), mood)
}

/// A clause without the polite words around it.
struct Bared<'a> {
    rest: &'a str,
    /// Whether words stood before it that ask.
    asks: bool,
    /// Whether it is a wish in the form of a question.
    is_polite: bool,
}

fn bared(text: &str) -> Bared<'_> {
    let mut bared = Bared { rest: text, asks: false, is_polite: false };
    loop {
        let rest = bared.rest;
        let behind = |phrases: &[&str]| phrases.iter().find_map(|phrase| begins(rest, phrase));
        let polite = behind(POLITE_QUESTIONS).filter(|rest| is_order(rest));
        if let Some(rest) = behind(ASKING) {
            (bared.rest, bared.asks) = (rest, true);
        } else if let Some(rest) = polite {
            (bared.rest, bared.is_polite) = (rest, true);
        } else if let Some(rest) = behind(WISHES).or_else(|| behind(POLITE)) {
            bared.is_polite |= begins(bared.rest, "how about").is_some();
            bared.rest = rest;
        } else {
            break;
        }
    }
    let behind = [" please", " thanks", " thank you", " for me"];
    while let Some(rest) = behind.iter().find_map(|phrase| bared.rest.strip_suffix(phrase)) {
        bared.rest = rest;
    }
    bared
}

/// Whether an order follows a polite question, perhaps behind more polite words.
fn is_order(text: &str) -> bool {
    let mut words = text.split_whitespace().skip_while(|word| POLITE.contains(word) || *word == "also");
    words.next().is_some_and(|word| VERBS.contains(&word))
}

/// What stands behind a phrase that a text begins with, if anything does.
pub(super) fn begins<'a>(text: &'a str, phrase: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(phrase)?.strip_prefix(' ')?.trim_start();
    (!rest.is_empty()).then_some(rest)
}

fn starts_question(plain: &str) -> bool {
    let mut words = plain.split_whitespace();
    let first = words.next().unwrap_or_default();
    let verb = first.strip_suffix("'s").unwrap_or(first);
    let is_asked = words.next().is_some_and(|second| ASKED.contains(&second));
    ASKS.contains(&verb) || matches!(first, "do" | "have") && is_asked
}

/// Whether a question asks about doing things, so that what follows "and" is asked as well.
fn distributes(question: &str) -> bool {
    const OF_THINGS: &[&str] = &["what", "whats", "which", "where", "who", "how", "why", "when", "any"];
    const OF_DEEDS: &[&str] =
        &["what if", "what would", "what happens", "how would", "when can", "when should"];
    let first = question.split([' ', '\'']).next().unwrap_or_default();
    !OF_THINGS.contains(&first) || OF_DEEDS.iter().any(|deed| begins(question, deed).is_some())
}

/// Whether a denial stands before what is to be done.
fn denies(plain: &str) -> bool {
    let words: Vec<&str> = plain.split_whitespace().collect();
    let at = |is: &dyn Fn(&str) -> bool| words.iter().position(|&word| is(word));
    let denial = at(&|word| DENIES.contains(&word));
    let verb = at(&|word| VERBS.contains(&word) && !matches!(word, "do" | "not"));
    plain.starts_with("no need ") || denial.is_some_and(|denial| verb.is_none_or(|verb| denial < verb))
}
