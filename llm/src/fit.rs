//! Values made to fit a schema: harmless differences are mended and noted, the others are named so that they can be repaired.

use crate::json;
use crate::schema::{alternatives, target};
use serde_json::{Map, Value, json};

/// Depth of schemas that is followed.
const DEPTH_MAX: usize = 24;

/// Problems that are listed; a model does not mend more at once.
const PROBLEMS_MAX: usize = 8;

/// Letters of a value that are shown in a problem.
const SHOWN_MAX: usize = 60;

/// A value that fits, with notes about what was mended.
///
/// Mended: text for numbers and the other way round, names and constants in other spelling, one thing where a list is
/// wanted, lists and texts that are too long, unknown fields (left out), JSON inside a string.
///
/// # Errors
/// What does not fit, each with its place: missing fields, other types, numbers out of their range.
pub fn fit(value: Value, schema: &Value) -> Result<(Value, Vec<String>), Vec<String>> {
    let mut fitting = Fitting { root: schema, notes: Vec::new(), problems: Vec::new() };
    let value = fitting.value(value, schema, "", 0);
    if fitting.problems.is_empty() {
        return Ok((value, fitting.notes));
    }
    fitting.problems.truncate(PROBLEMS_MAX);
    Err(fitting.problems)
}

struct Fitting<'a> {
    root: &'a Value,
    notes: Vec<String>,
    problems: Vec<String>,
}

impl<'a> Fitting<'a> {
    fn problem(&mut self, path: &str, problem: impl std::fmt::Display) -> Value {
        let path = if path.is_empty() { "the answer" } else { path };
        self.problems.push(format!("{path} {problem}"));
        Value::Null
    }

    fn note(&mut self, path: &str, note: &str) {
        self.notes.push(format!("{path} {note}"));
    }

    fn value(&mut self, value: Value, schema: &'a Value, path: &str, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return self.problem(path, "is nested too deeply");
        }
        let schema = target(schema, self.root);
        if let Some(choices) = alternatives(schema) {
            return self.choice(value, choices, path, depth);
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array).filter(|all| all.len() == 1) {
            return self.value(value, &all[0], path, depth + 1);
        }
        if let Some(constants) = constants(schema) {
            return self.constant(value, &constants, schema, path);
        }
        let kinds = kinds(schema);
        if kinds.contains(&"null") && is_nothing(&value, &kinds) {
            return Value::Null;
        }
        match kinds.iter().find(|kind| **kind != "null") {
            Some(&"object") => self.object(value, schema, path, depth),
            Some(&"array") => self.array(value, schema, path, depth),
            Some(&"string") => self.string(value, schema, path),
            Some(&"integer") => self.number(&value, schema, path, true),
            Some(&"number") => self.number(&value, schema, path, false),
            Some(&"boolean") => self.truth(&value, path),
            _ => value,
        }
    }

    /// The first alternative that fits; problems are those of the one that fits best.
    fn choice(&mut self, value: Value, choices: &'a [Value], path: &str, depth: usize) -> Value {
        if let Some(constants) = choices
            .iter()
            .map(|choice| target(choice, self.root).get("const").cloned())
            .collect::<Option<Vec<_>>>()
        {
            return self.constant(value, &constants, &Value::Null, path);
        }
        if is_nothing(&value, &["null"])
            && choices.iter().any(|choice| kinds(target(choice, self.root)).contains(&"null"))
        {
            return Value::Null;
        }
        let mut best: Option<(Value, Vec<String>, Vec<String>)> = None;
        let mut ordered: Vec<&'a Value> =
            choices.iter().filter(|choice| kinds(target(choice, self.root)) != ["null"]).collect();
        // One of the value's own type first: text must not become a number where text is allowed.
        ordered.sort_by_key(|choice| !kinds(target(choice, self.root)).contains(&kind_of(&value)));
        for choice in ordered {
            let mut attempt = Fitting { root: self.root, notes: Vec::new(), problems: Vec::new() };
            let fitted = attempt.value(value.clone(), choice, path, depth + 1);
            if best.as_ref().is_none_or(|(_, problems, _)| attempt.problems.len() < problems.len()) {
                best = Some((fitted, attempt.problems, attempt.notes));
            }
        }
        match best {
            Some((fitted, problems, notes)) => {
                self.problems.extend(problems);
                self.notes.extend(notes);
                fitted
            }
            None => self.problem(path, "has no form that is known"),
        }
    }

    fn constant(&mut self, value: Value, constants: &[Value], schema: &Value, path: &str) -> Value {
        if constants.contains(&value) {
            return value;
        }
        if value.is_null() && kinds(schema).contains(&"null") {
            return Value::Null;
        }
        if let Some(single) = constants.first().filter(|_| constants.len() == 1 && value.is_null()) {
            return single.clone();
        }
        let said = plain(&as_text(&value).unwrap_or_default());
        let same =
            constants.iter().find(|constant| as_text(constant).is_some_and(|text| plain(&text) == said));
        if let Some(constant) = same {
            self.note(path, "was spelt differently");
            return constant.clone();
        }
        let allowed: Vec<String> = constants.iter().map(Value::to_string).collect();
        self.problem(path, format!("must be one of {}, not {}", allowed.join(", "), shown(&value)))
    }

    fn object(&mut self, value: Value, schema: &'a Value, path: &str, depth: usize) -> Value {
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Array(mut items) if items.len() == 1 && items[0].is_object() => {
                self.note(path, "stood in a list");
                match items.remove(0) {
                    Value::Object(fields) => fields,
                    _ => Map::new(),
                }
            }
            Value::String(text) => match json::parse(&text) {
                Some(Value::Object(fields)) => {
                    self.note(path, "was JSON inside a string");
                    fields
                }
                _ => return self.problem(path, format!("must be an object, not {}", shown(&text.into()))),
            },
            other => return self.problem(path, format!("must be an object, not {}", shown(&other))),
        };
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return self.map(fields, schema, path, depth);
        };
        let fields = self.unwrapped(fields, properties);
        let mut result = Map::new();
        for (name, wanted) in properties {
            let place = if path.is_empty() {
                format!("`{name}`")
            } else {
                format!("{}.{name}`", path.trim_end_matches('`'))
            };
            let wanted_plain = plain(name);
            let given = fields.get(name).or_else(|| {
                fields
                    .iter()
                    .find(|(given, _)| plain(given) == wanted_plain && !properties.contains_key(*given))
                    .map(|(_, value)| value)
            });
            let is_required = schema
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|required| required.iter().any(|one| one == name));
            match given {
                Some(given) => {
                    let fitted = self.value(given.clone(), wanted, &place, depth + 1);
                    result.insert(name.clone(), fitted);
                }
                None if !is_required => {}
                None => {
                    let wanted = target(wanted, self.root);
                    let may_be_null = kinds(wanted).contains(&"null")
                        || alternatives(wanted).is_some_and(|choices| {
                            choices.iter().any(|choice| kinds(target(choice, self.root)) == ["null"])
                        });
                    if let Some(default) = wanted.get("default") {
                        result.insert(name.clone(), default.clone());
                    } else if let Some(only) = wanted.get("const") {
                        result.insert(name.clone(), only.clone());
                    } else if may_be_null {
                        result.insert(name.clone(), Value::Null);
                    } else {
                        self.problem(&place, "is missing");
                    }
                }
            }
        }
        Value::Object(result)
    }

    /// An object whose only field is an unknown wrapper around what was asked for.
    fn unwrapped(
        &mut self,
        mut fields: Map<String, Value>,
        properties: &Map<String, Value>,
    ) -> Map<String, Value> {
        let knows = |fields: &Map<String, Value>| {
            fields.keys().any(|given| properties.keys().any(|name| plain(name) == plain(given)))
        };
        if fields.len() == 1 && !knows(&fields) {
            let only = fields.keys().next().cloned().unwrap_or_default();
            if let Some(Value::Object(inner)) = fields.get(&only)
                && knows(inner)
            {
                let inner = inner.clone();
                self.note(&format!("`{only}`"), "was wrapped around the answer");
                fields = inner;
            }
        }
        fields
    }

    /// An object with names of its own choice.
    fn map(&mut self, fields: Map<String, Value>, schema: &'a Value, path: &str, depth: usize) -> Value {
        let Some(wanted) = schema.get("additionalProperties").filter(|wanted| wanted.is_object()) else {
            return Value::Object(fields);
        };
        let fitted = fields
            .into_iter()
            .map(|(name, value)| {
                let place = if path.is_empty() {
                    format!("`{name}`")
                } else {
                    format!("{}.{name}`", path.trim_end_matches('`'))
                };
                let value = self.value(value, wanted, &place, depth + 1);
                (name, value)
            })
            .collect();
        Value::Object(fitted)
    }

    fn array(&mut self, value: Value, schema: &'a Value, path: &str, depth: usize) -> Value {
        let items = match value {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            Value::String(text) => match json::parse(&text) {
                Some(Value::Array(items)) => items,
                _ if text.trim().is_empty() => Vec::new(),
                _ => vec![Value::String(text)],
            },
            other => {
                self.note(path, "was one thing instead of a list");
                vec![other]
            }
        };
        let limit = |word: &str| schema.get(word).and_then(Value::as_u64).map(|limit| limit as usize);
        let fewest = limit("minItems").unwrap_or(0);
        let mut fitted = Vec::new();
        let mut bad = Vec::new();
        for (n, item) in items.into_iter().enumerate() {
            let Some(wanted) = schema.get("items") else {
                fitted.push(item);
                continue;
            };
            let place = format!("{}[{n}]`", if path.is_empty() { "`" } else { path.trim_end_matches('`') });
            let mut attempt = Fitting { root: self.root, notes: Vec::new(), problems: Vec::new() };
            let item = attempt.value(item, wanted, &place, depth + 1);
            self.notes.extend(attempt.notes);
            if attempt.problems.is_empty() { fitted.push(item) } else { bad.extend(attempt.problems) }
        }
        // One bad entry does not spoil the good ones, as long as enough are left.
        if !bad.is_empty() {
            if fitted.len() < fewest.max(1) {
                self.problems.extend(bad);
                return Value::Null;
            }
            self.notes.extend(bad.into_iter().map(|problem| format!("left out: {problem}")));
        }
        if let Some(most) = limit("maxItems").filter(|most| fitted.len() > *most) {
            fitted.truncate(most);
            self.note(path, &format!("was cut to {most} entries"));
        }
        if fitted.len() < fewest {
            return self.problem(path, format!("needs at least {fewest} entries, not {}", fitted.len()));
        }
        Value::Array(fitted)
    }

    fn string(&mut self, value: Value, schema: &Value, path: &str) -> Value {
        let text = match value {
            Value::String(text) => text,
            Value::Array(parts) if !parts.is_empty() && parts.iter().all(Value::is_string) => {
                self.note(path, "was a list of texts");
                parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
            }
            other => match as_text(&other) {
                Some(text) => text,
                None => return self.problem(path, format!("must be a text, not {}", shown(&other))),
            },
        };
        let limit = |word: &str| schema.get(word).and_then(Value::as_u64).map(|limit| limit as usize);
        let length = text.chars().count();
        if limit("minLength").is_some_and(|fewest| text.trim().chars().count() < fewest) {
            return self.problem(path, "is empty");
        }
        match limit("maxLength").filter(|most| length > *most) {
            Some(most) => {
                self.note(path, &format!("was cut to {most} letters"));
                text.chars().take(most).collect::<String>().into()
            }
            None => text.into(),
        }
    }

    fn number(&mut self, value: &Value, schema: &Value, path: &str, is_whole: bool) -> Value {
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().replace('_', "").parse::<f64>().ok(),
            _ => None,
        };
        let Some(number) = number.filter(|number| number.is_finite()) else {
            let what = if is_whole { "a whole number" } else { "a number" };
            return self.problem(path, format!("must be {what}, not {}", shown(value)));
        };
        let limit = |word: &str| schema.get(word).and_then(Value::as_f64);
        let (low, high) = (limit("minimum"), limit("maximum"));
        if low.is_some_and(|low| number < low) || high.is_some_and(|high| number > high) {
            let range = match (low, high) {
                (Some(low), Some(high)) => format!("from {low} to {high}"),
                (Some(low), None) => format!("at least {low}"),
                (None, high) => format!("at most {}", high.unwrap_or_default()),
            };
            return self.problem(path, format!("must be {range}, not {number}"));
        }
        if !is_whole {
            return if value.is_number() { value.clone() } else { json!(number) };
        }
        if number.fract() != 0.0 || number.abs() > 9e15 {
            return self.problem(path, format!("must be a whole number, not {number}"));
        }
        json!(number as i64)
    }

    fn truth(&mut self, value: &Value, path: &str) -> Value {
        let said = as_text(value).unwrap_or_default().to_lowercase();
        match said.trim() {
            "true" | "yes" | "1" | "y" => true.into(),
            "false" | "no" | "0" | "n" => false.into(),
            _ => self.problem(path, format!("must be true or false, not {}", shown(value))),
        }
    }
}

/// The type of a value, as schemas name it.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The types that a schema allows.
fn kinds(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ if schema.get("properties").is_some() => vec!["object"],
        _ => Vec::new(),
    }
}

fn constants(schema: &Value) -> Option<Vec<Value>> {
    schema.get("const").map(|only| vec![only.clone()]).or_else(|| schema.get("enum")?.as_array().cloned())
}

/// Whether a value says that there is none.
fn is_nothing(value: &Value, kinds: &[&str]) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => {
            let text = text.trim().to_lowercase();
            let is_word = matches!(text.as_str(), "null" | "none" | "n/a");
            is_word || (text.is_empty() && !kinds.contains(&"string"))
        }
        _ => false,
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// A name without what people spell differently.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= SHOWN_MAX {
        text
    } else {
        text.chars().take(SHOWN_MAX).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object", "required": ["kind", "steps", "share"],
            "properties": {
                "kind": {"$ref": "#/$defs/Kind"},
                "steps": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"$ref": "#/$defs/Step"}},
                "share": {"type": "number", "minimum": 0, "maximum": 1},
                "count": {"type": ["integer", "null"]},
                "note": {"type": "string", "maxLength": 4},
            },
            "$defs": {
                "Kind": {"type": "string", "enum": ["tree_model", "linear"]},
                "Step": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "on": {"type": "boolean"}}},
            },
        })
    }

    fn good(value: Value) -> Value {
        fit(value, &schema()).unwrap().0
    }

    fn problems(value: Value) -> String {
        fit(value, &schema()).unwrap_err().join("; ")
    }

    fn plan() -> Value {
        json!({"kind": "linear", "steps": [{"name": "a"}], "share": 0.5})
    }

    #[test]
    fn what_fits_stays() {
        let (value, notes) = fit(plan(), &schema()).unwrap();
        assert_eq!((value, notes.len()), (plan(), 0));
    }

    #[test]
    fn harmless_differences_are_mended() {
        assert_eq!(good(json!({"Kind": "Linear", "steps": [{"name": "a"}], "share": "0.5"})), plan());
        assert_eq!(good(json!({"kind": "linear", "steps": {"name": "a"}, "share": 0.5, "extra": 1})), plan());
        assert_eq!(good(json!([{"kind": "linear", "steps": "[{\"name\": \"a\"}]", "share": 0.5}])), plan());
        assert_eq!(good(json!({"plan": {"kind": "linear", "steps": [{"name": "a"}], "share": 0.5}})), plan());
        let cut = good(
            json!({"kind": "tree-model", "steps": [{"name": 1}, {"name": "b", "on": "yes"}, {"name": "c"}], "share": 1, "note": "longer", "count": "none"}),
        );
        assert_eq!(
            cut,
            json!({"kind": "tree_model", "steps": [{"name": "1"}, {"name": "b", "on": true}], "share": 1, "note": "long", "count": null})
        );
    }

    #[test]
    fn one_bad_entry_does_not_spoil_the_good_ones() {
        let (value, notes) =
            fit(json!({"kind": "linear", "steps": [{"name": "a"}, {"nam": []}], "share": 0.5}), &schema())
                .unwrap();
        assert_eq!(value, plan());
        assert_eq!(notes, ["left out: `steps[1].name` is missing"]);
    }

    #[test]
    fn the_others_are_named() {
        assert_eq!(
            problems(json!({"kind": "forest", "steps": [], "share": 100})),
            "`kind` must be one of \"tree_model\", \"linear\", not \"forest\"; `share` must be from 0 to 1, not 100; `steps` needs at least 1 entries, not 0"
        );
        assert_eq!(
            problems(json!({"steps": [{}], "share": "half"})),
            "`kind` is missing; `share` must be a number, not \"half\"; `steps[0].name` is missing"
        );
        assert_eq!(problems(json!(7)), "the answer must be an object, not 7");
        assert_eq!(
            problems(
                json!({"kind": "linear", "steps": [{"name": "a", "on": "perhaps"}], "share": 0.5, "count": 1.5})
            ),
            "`count` must be a whole number, not 1.5; `steps[0].on` must be true or false, not \"perhaps\""
        );
    }

    #[test]
    fn alternatives_take_the_one_that_fits_best() {
        let schema = json!({"anyOf": [
            {"type": "object", "required": ["kind", "a"], "properties": {"kind": {"const": "x"}, "a": {"type": "integer"}}},
            {"type": "object", "required": ["kind", "b"], "properties": {"kind": {"const": "y"}, "b": {"type": "string"}}},
            {"type": "null"},
        ]});
        assert_eq!(fit(json!({"kind": "y", "b": "1"}), &schema).unwrap().0, json!({"kind": "y", "b": "1"}));
        assert_eq!(fit(json!(null), &schema).unwrap().0, json!(null));
        assert_eq!(fit(json!({"kind": "y"}), &schema).unwrap_err(), ["`b` is missing"]);
        let plain = json!({"anyOf": [{"type": "boolean"}, {"type": "number"}, {"type": "string"}]});
        for value in [json!("yes"), json!("1"), json!(1.5), json!(false)] {
            assert_eq!(fit(value.clone(), &plain).unwrap().0, value);
        }
    }
}
