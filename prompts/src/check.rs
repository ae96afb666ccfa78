//! Checks of a template against what it is given: strict rendering does not see a misspelt `{{#if name}}`, nor what is
//! forgotten.

use crate::prompts::PromptErrorKind;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Fields whose values come from outside: they must be escaped wherever they are shown.
const FOREIGN: [&str; 25] = [
    "request", "name", "target", "classes", "wishes", "notices", "value", "text", "error", "evidence",
    "column", "further", "inputs", "subject", "model", "insights", "lessons", "change", "earlier", "detail",
    "because", "state", "said", "doubts", "asked",
];

/// The lines between which foreign values stand.
const OPENS: &str = "<data {{case.nonce}}>";
const CLOSES: &str = "</data {{case.nonce}}>";

/// Fields that a template may leave unused: the mark, and a standing that its example does not have.
const OPTIONAL: [&str; 2] = ["nonce", "standing"];

/// A template with its shared parts put in place, and with those that they have in turn.
pub fn expand(text: &str, shared: &BTreeMap<String, String>) -> String {
    let mut whole = text.to_owned();
    for (name, part) in shared.iter().chain(shared) {
        whole = whole.replace(&format!("{{{{> {name}}}}}"), part);
    }
    whole
}

/// Checks a whole template against an example of what it is given.
///
/// # Errors
/// The first thing that is wrong.
pub fn template(text: &str, divider: &str, example: &Value) -> Result<(), PromptErrorKind> {
    let parts: Vec<&str> = text.split(divider).collect();
    let [stable, rest] = parts[..] else { return Err(PromptErrorKind::Divider) };
    if let Some((tag, _)) = tags(stable)?.into_iter().find(|(tag, _)| !tag.starts_with('!')) {
        return Err(PromptErrorKind::Unstable(tag));
    }
    let mut used = BTreeSet::new();
    walk(rest, example, &mut used)?;
    let unused = leaves(example, "").into_iter().find(|leaf| !used.contains(leaf) && !is_optional(leaf));
    match unused {
        Some(leaf) => Err(PromptErrorKind::Unused(leaf)),
        None => Ok(()),
    }
}

fn is_optional(leaf: &str) -> bool {
    leaf.split('.').next_back().is_some_and(|name| OPTIONAL.contains(&name))
}

/// The insides of all `{{…}}`, in order, and whether each stands in a block of data.
fn tags(text: &str) -> Result<Vec<(String, bool)>, PromptErrorKind> {
    let mut tags = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let before = &text[..text.len() - rest.len() + start];
        let is_in_data = before.matches(OPENS).count() > before.matches(CLOSES).count();
        let inside = &rest[start + 2..];
        let end = inside.find("}}").ok_or_else(|| PromptErrorKind::Syntax("a {{ is never closed".into()))?;
        tags.push((inside[..end].trim().trim_matches('~').trim().to_owned(), is_in_data));
        rest = &inside[end + 2..];
    }
    Ok(tags)
}

/// Where names are looked up: a value and its path in the example.
#[derive(Clone)]
struct Scope<'a> {
    value: &'a Value,
    path: String,
}

fn walk(text: &str, example: &Value, used: &mut BTreeSet<String>) -> Result<(), PromptErrorKind> {
    let mut scopes = vec![Scope { value: example, path: String::new() }];
    let mut blocks: Vec<(String, bool)> = Vec::new();
    for (tag, is_in_data) in tags(text)? {
        let mut words = tag.split_whitespace();
        let first = words.next().unwrap_or_default();
        match first {
            "else" => {}
            _ if first.starts_with('!') => {}
            "#if" | "#unless" => {
                for name in names_of(words) {
                    mark(&find(&scopes, name)?, used);
                }
                blocks.push((first[1..].to_owned(), false));
            }
            "#each" | "#with" => {
                let name =
                    words.next().ok_or_else(|| PromptErrorKind::Syntax(format!("{first} without a name")))?;
                let found = find(&scopes, name)?;
                let item = match found.value {
                    Value::Array(items) => {
                        items.first().map(|item| Scope { value: item, path: format!("{}[]", found.path) })
                    }
                    _ => Some(found.clone()),
                };
                let item =
                    item.ok_or_else(|| PromptErrorKind::Variable(format!("{name} (the example is empty)")))?;
                if !item.value.is_object() {
                    used.insert(found.path.clone());
                }
                scopes.push(item);
                blocks.push((first[1..].to_owned(), true));
            }
            _ if first.starts_with('/') => {
                let (open, has_scope) =
                    blocks.pop().ok_or_else(|| PromptErrorKind::Syntax(format!("{first} closes nothing")))?;
                if open != first[1..] {
                    return Err(PromptErrorKind::Syntax(format!("{first} closes {open}")));
                }
                if has_scope {
                    scopes.pop();
                }
            }
            "json" => {
                let name =
                    words.next().ok_or_else(|| PromptErrorKind::Syntax("json without a name".into()))?;
                let found = find(&scopes, name)?;
                if is_foreign(&found.path) && !is_in_data {
                    return Err(PromptErrorKind::Outside(name.to_owned()));
                }
                mark(&found, used);
            }
            _ if first.starts_with('@') => {}
            _ if first.starts_with(['#', '>', '{', '&', '^']) => {
                return Err(PromptErrorKind::Syntax(format!("{first} is not used in prompts")));
            }
            name => {
                let found = find(&scopes, name)?;
                if is_foreign(&found.path) {
                    return Err(PromptErrorKind::Unescaped(name.to_owned()));
                }
                mark(&found, used);
            }
        }
    }
    match blocks.pop() {
        Some((open, _)) => Err(PromptErrorKind::Syntax(format!("#{open} is never closed"))),
        None => Ok(()),
    }
}

/// The names in a condition such as `(eq kind "x")`: neither how things are compared, nor texts, nor what handlebars sets.
fn names_of<'a>(words: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    words.filter(|word| !word.starts_with(['@', '(', '"'])).map(|word| word.trim_end_matches(')'))
}

fn mark(found: &Scope, used: &mut BTreeSet<String>) {
    used.insert(found.path.clone());
}

/// Whether a value comes from outside, judged by the last two names of its path: names of our own solutions, templates and
/// parameters are not foreign.
fn is_foreign(path: &str) -> bool {
    let ours = [
        "solutions[].name",
        "parameters[].name",
        "cards[].name",
        "rows[].name",
        "branches[].name",
        "sources[].name",
        "facts[].name",
        "material[].name",
    ];
    let path_of_item = path.trim_end_matches("[]");
    let last = path_of_item.rsplit('.').next().unwrap_or_default().trim_end_matches("[]");
    // Cards are ours as well; so is the description of a model for features.
    FOREIGN.contains(&last)
        && !ours.iter().any(|ours| path.ends_with(ours))
        && !path.ends_with("cards[].text")
        && path != "model"
}

fn find<'a>(scopes: &[Scope<'a>], name: &str) -> Result<Scope<'a>, PromptErrorKind> {
    let missing = || PromptErrorKind::Variable(name.to_owned());
    let mut depth = scopes.len();
    let mut rest = name;
    while let Some(outer) = rest.strip_prefix("../") {
        depth = depth.checked_sub(1).filter(|depth| *depth > 0).ok_or_else(missing)?;
        rest = outer;
    }
    let scope = scopes.get(depth - 1).ok_or_else(missing)?;
    if rest == "this" || rest == "." {
        return Ok(scope.clone());
    }
    let mut found = scope.clone();
    for part in rest.strip_prefix("this.").unwrap_or(rest).split('.') {
        let value = found.value.get(part).ok_or_else(missing)?;
        let path = if found.path.is_empty() { part.to_owned() } else { format!("{}.{part}", found.path) };
        found = Scope { value, path };
    }
    Ok(found)
}

/// Paths of everything that a template is given.
fn leaves(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| {
                leaves(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") })
            })
            .collect(),
        Value::Array(items) => match items.first() {
            Some(item) if item.is_object() => leaves(item, &format!("{path}[]")),
            _ => vec![path.to_owned()],
        },
        _ => vec![path.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(text: &str) -> String {
        let example = json!({
            "a": "x", "list": [{"b": 1}], "words": ["w"], "error": "boom", "case": {"nonce": "n"}
        });
        template(text, "\n--\n", &example).map_or_else(|kind| kind.to_string(), |()| "ok".into())
    }

    const ALL: &str = "s\n--\n{{a}}{{#each list}}{{b}}{{/each}}{{#each words}}{{this}}{{/each}}<data {{case.nonce}}>{{json error}}</data {{case.nonce}}>";

    #[test]
    fn a_template_uses_what_there_is_and_nothing_else() {
        assert_eq!(check(ALL), "ok");
        assert_eq!(
            check(&ALL.replace("{{a}}", "{{#if aa}}{{a}}{{/if}}")),
            "`aa` is not among what this prompt is given"
        );
        assert_eq!(check(&ALL.replace("{{b}}", "{{a}}")), "`a` is not among what this prompt is given");
        assert_eq!(check(&ALL.replace("{{b}}", "{{b}}{{../a}}")), "ok");
        assert_eq!(check(&ALL.replace("{{a}}", "{{#if (eq a \"x\")}}it is x{{/if}}")), "ok");
        assert_eq!(
            check(&ALL.replace("{{b}}", "{{b}}{{#if (eq kind \"x\")}}it is x{{/if}}")),
            "`kind` is not among what this prompt is given"
        );
        assert_eq!(check(&ALL.replace("{{a}}", "")), "`a` is not used, so the model would not know it");
        assert_eq!(
            check(&ALL.replace("{{b}}", "")),
            "`list[].b` is not used, so the model would not know it"
        );
    }

    #[test]
    fn data_are_escaped_and_the_first_part_stands_still() {
        assert_eq!(
            check(&ALL.replace("{{json error}}", "{{error}}")),
            "`error` comes from outside and must be written as {{json error}}"
        );
        let outside = ALL.replace("{{a}}", "{{a}}{{json error}}");
        assert_eq!(
            check(&outside),
            "`error` comes from outside and must stand between the lines that mark data"
        );
        assert!(check(&ALL.replacen('s', "{{a}}", 1)).starts_with("`a` stands before the line"));
        assert!(check("s{{a}}").starts_with("it must have one line"));
    }

    #[test]
    fn shared_parts_have_shared_parts() {
        let shared = [("a", "first"), ("outer", "o {{> a}}"), ("b", "b {{> outer}}")];
        let shared = shared.map(|(name, part)| (name.to_owned(), part.to_owned())).into();
        assert_eq!(expand("{{> outer}}, {{> a}}", &shared), "o first, first");
        assert_eq!(expand("{{> b}}", &shared), "b o first", "whatever they are called");
    }

    #[test]
    fn blocks_close_what_they_open() {
        assert_eq!(check("s\n--\n{{#if a}}"), "#if is never closed");
        assert_eq!(check("s\n--\n{{#if a}}{{/each}}"), "/each closes if");
        assert_eq!(check("s\n--\n{{a"), "a {{ is never closed");
        assert_eq!(check("s\n--\n{{{a}}}"), "{a is not used in prompts");
    }
}
