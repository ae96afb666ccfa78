//! Rules between parameters: a comparison of two sums of products, e.g. `min_leaf * 2 <= max_leaf + 1`.

use super::{Params, Space, SpaceError, SpaceErrorKind};
use serde_json::Value;
use std::fmt;

/// Longest text of a rule, in bytes.
const BYTES_MAX: usize = 1_000;
/// Deepest nesting of parentheses.
const DEPTH_MAX: usize = 32;

/// A comparison that a configuration must keep. Where a parameter in it does not count, it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    text: String,
    because: Option<String>,
    left: Term,
    comparison: Comparison,
    right: Term,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Different,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Number(f64),
    Name(String),
    Pair(char, Box<Term>, Box<Term>),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Rule {
    /// A rule from its text, with the reason that is shown to whoever breaks it.
    pub fn new(text: &str, because: Option<String>) -> Result<Self, SpaceError> {
        let fail = |problem: String| {
            let rule: String = text.chars().take(100).collect();
            SpaceError::whole(SpaceErrorKind::Rule { rule, problem })
        };
        if text.len() > BYTES_MAX {
            return Err(fail(format!("it has more than {BYTES_MAX} bytes")));
        }
        let tokens = tokens(text).map_err(fail)?;
        let mut parser = Parser { tokens, at: 0, depth: 0 };
        let (left, comparison, right) = parser.rule().map_err(fail)?;
        Ok(Self { text: text.into(), because, left, comparison, right })
    }

    /// Why it is there.
    pub fn because(&self) -> Option<&str> {
        self.because.as_deref()
    }

    /// The parameters that it names.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.left.names(&mut names);
        self.right.names(&mut names);
        names
    }

    /// Its text with every name replaced.
    pub(super) fn renamed(&self, name: &dyn Fn(&str) -> String) -> String {
        let sign = match self.comparison {
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::More => ">",
            Comparison::AtLeast => ">=",
            Comparison::Equal => "==",
            Comparison::Different => "!=",
        };
        format!("{} {sign} {}", self.left.renamed(name), self.right.renamed(name))
    }

    /// Whether a configuration keeps it.
    pub fn holds(&self, params: &Params) -> bool {
        let (Some(left), Some(right)) = (self.left.value(params), self.right.value(params)) else {
            return true;
        };
        match self.comparison {
            Comparison::Less => left < right,
            Comparison::AtMost => left <= right,
            Comparison::More => left > right,
            Comparison::AtLeast => left >= right,
            Comparison::Equal => left == right,
            Comparison::Different => left != right,
        }
    }
}

impl Space {
    /// The first rule that a configuration breaks.
    pub fn broken_rule(&self, params: &Params) -> Option<&Rule> {
        self.rules().iter().find(|rule| !rule.holds(params))
    }
}

impl Term {
    fn names<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Number(_) => {}
            Self::Name(name) => names.push(name),
            Self::Pair(_, left, right) => {
                left.names(names);
                right.names(names);
            }
        }
    }

    fn renamed(&self, name: &dyn Fn(&str) -> String) -> String {
        match self {
            Self::Number(number) => format!("{number:?}"),
            Self::Name(old) => name(old),
            Self::Pair(sign, left, right) => {
                format!("({} {sign} {})", left.renamed(name), right.renamed(name))
            }
        }
    }

    /// Its value; `None` where something in it has none.
    fn value(&self, params: &Params) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name(name) => match params.get(name)? {
                Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
                other => other.as_f64(),
            },
            Self::Pair(sign, left, right) => {
                let (left, right) = (left.value(params)?, right.value(params)?);
                Some(match sign {
                    '+' => left + right,
                    '-' => left - right,
                    '*' => left * right,
                    _ => left / right,
                })
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Sign(char),
    Comparison(Comparison),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let letters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let letter = letters[at];
        let run = |from: usize, inside: &dyn Fn(usize) -> bool| {
            (from..letters.len()).take_while(|place| inside(*place)).last().map_or(from, |last| last + 1)
        };
        if letter.is_whitespace() {
            at += 1;
        } else if letter.is_ascii_digit() || letter == '.' {
            let end = run(at, &|place| {
                let c = letters[place];
                let signed = matches!(c, '+' | '-') && place > at && matches!(letters[place - 1], 'e' | 'E');
                c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '_') || signed
            });
            let number: String = letters[at..end].iter().filter(|c| **c != '_').collect();
            tokens.push(Token::Number(number.parse().map_err(|_| format!("`{number}` is not a number"))?));
            at = end;
        } else if letter.is_ascii_alphabetic() || letter == '_' {
            let end = run(at, &|place| {
                letters[place].is_ascii_alphanumeric() || matches!(letters[place], '_' | '.')
            });
            tokens.push(Token::Name(letters[at..end].iter().collect()));
            at = end;
        } else if matches!(letter, '+' | '-' | '*' | '/' | '(' | ')') {
            tokens.push(Token::Sign(letter));
            at += 1;
        } else {
            let equal = letters.get(at + 1) == Some(&'=');
            let comparison = match (letter, equal) {
                ('<', true) => Comparison::AtMost,
                ('<', false) => Comparison::Less,
                ('>', true) => Comparison::AtLeast,
                ('>', false) => Comparison::More,
                ('=', true) => Comparison::Equal,
                ('!', true) => Comparison::Different,
                _ => return Err(format!("`{letter}` has no meaning here")),
            };
            tokens.push(Token::Comparison(comparison));
            at += 1 + usize::from(equal);
        }
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn rule(&mut self) -> Result<(Term, Comparison, Term), String> {
        let left = self.sum()?;
        let Some(Token::Comparison(comparison)) = self.next() else {
            return Err("a comparison (<, <=, ==, !=, >=, >) is missing".into());
        };
        let right = self.sum()?;
        if self.at < self.tokens.len() {
            return Err("something follows its end".into());
        }
        Ok((left, comparison, right))
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn sign(&mut self, among: &[char]) -> Option<char> {
        match self.tokens.get(self.at) {
            Some(Token::Sign(sign)) if among.contains(sign) => {
                self.at += 1;
                Some(*sign)
            }
            _ => None,
        }
    }

    fn sum(&mut self) -> Result<Term, String> {
        let mut term = self.product()?;
        while let Some(sign) = self.sign(&['+', '-']) {
            term = Term::Pair(sign, Box::new(term), Box::new(self.product()?));
        }
        Ok(term)
    }

    fn product(&mut self) -> Result<Term, String> {
        let mut term = self.factor()?;
        while let Some(sign) = self.sign(&['*', '/']) {
            term = Term::Pair(sign, Box::new(term), Box::new(self.factor()?));
        }
        Ok(term)
    }

    fn factor(&mut self) -> Result<Term, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("it is nested too deeply".into());
        }
        let term = match self.next() {
            Some(Token::Number(number)) => Term::Number(number),
            Some(Token::Name(name)) => Term::Name(name),
            Some(Token::Sign('-')) => Term::Pair('-', Box::new(Term::Number(0.0)), Box::new(self.factor()?)),
            Some(Token::Sign('(')) => {
                let inner = self.sum()?;
                self.sign(&[')']).ok_or("a `)` is missing")?;
                inner
            }
            _ => return Err("a number or a name is missing".into()),
        };
        self.depth -= 1;
        Ok(term)
    }
}
