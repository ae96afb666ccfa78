//! JSON schemas as providers take them: references put in place, every field required, nothing unknown allowed.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};

/// Depth to which references are put in place; a schema that contains itself ends there.
const DEPTH_MAX: usize = 12;

/// Words that say what a value is; others are comments.
const KEPT: [&str; 6] = ["type", "enum", "const", "description", "items", "properties"];

/// Words that limit values; some providers refuse them.
const LIMITS: [&str; 7] = ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern"];

/// The schema with its limits: for servers that build a grammar from it.
pub fn bounded(schema: &Value) -> Value {
    plain(schema, schema, true, 0)
}

/// The schema without limits: the subset that every provider of strict schemas takes.
pub fn portable(schema: &Value) -> Value {
    plain(schema, schema, false, 0)
}

/// The schema that a reference points to.
pub fn target<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let pointed =
        schema.get("$ref").and_then(Value::as_str).and_then(|path| root.pointer(path.strip_prefix('#')?));
    pointed.unwrap_or(schema)
}

/// The alternatives of a schema, if it has any.
pub fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    ["anyOf", "oneOf"].iter().find_map(|word| schema.get(*word)?.as_array())
}

fn plain(schema: &Value, root: &Value, limits: bool, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return json!({});
    }
    let described = schema.get("description");
    let schema = target(schema, root);
    let mut result = Map::new();
    if let Some(choices) = alternatives(schema) {
        // Choices of constants are an enumeration: easier for every grammar.
        let constants: Option<Vec<Value>> =
            choices.iter().map(|choice| target(choice, root).get("const").cloned()).collect();
        if let Some(constants) = constants {
            result.insert("type".into(), "string".into());
            result.insert("enum".into(), constants.into());
        } else {
            let choices: Vec<Value> =
                choices.iter().map(|choice| plain(choice, root, limits, depth + 1)).collect();
            result.insert("anyOf".into(), choices.into());
        }
    } else if let Some(all) = schema.get("allOf").and_then(Value::as_array).filter(|all| all.len() == 1) {
        return plain(&all[0], root, limits, depth + 1);
    }
    for word in KEPT.iter().chain(LIMITS.iter().filter(|_| limits)) {
        if let Some(value) = schema.get(*word) {
            result.insert((*word).to_owned(), value.clone());
        }
    }
    if let Some(description) = described {
        result.insert("description".into(), description.clone());
    }
    if let Some(constant) = result.remove("const") {
        result.insert("enum".into(), json!([constant]));
        result.entry("type").or_insert_with(|| "string".into());
    }
    if let Some(items) = schema.get("items") {
        result.insert("items".into(), plain(items, root, limits, depth + 1));
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let fields: Map<String, Value> = properties
            .iter()
            .map(|(name, field)| {
                let field = plain(field, root, limits, depth + 1);
                let field = if required.contains(&name.as_str()) { field } else { nullable(field) };
                (name.clone(), field)
            })
            .collect();
        let others = fields.keys().map(String::as_str).filter(|name| !required.contains(name));
        let order: Vec<&str> = required.iter().copied().chain(others).collect();
        result.insert("required".into(), order.into());
        result.insert("properties".into(), fields.into());
        result.insert("additionalProperties".into(), false.into());
    }
    result.into()
}

/// JSON whose schemas list their fields in the order of `required`: a model fills them in that order, and it should
/// give its reasons before its conclusion.
pub struct Ordered<'a>(pub &'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    let required =
                        fields.get("required").and_then(Value::as_array).filter(|_| name == "properties");
                    match (required, value.as_object()) {
                        (Some(order), Some(properties)) => {
                            map.serialize_entry(name, &Properties(order, properties))?;
                        }
                        _ => map.serialize_entry(name, &Ordered(value))?,
                    }
                }
                map.end()
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Ordered)),
            plain => plain.serialize(serializer),
        }
    }
}

struct Properties<'a>(&'a [Value], &'a Map<String, Value>);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let place = |name: &str| self.0.iter().position(|known| known == name).unwrap_or(usize::MAX);
        let mut names: Vec<&String> = self.1.keys().collect();
        names.sort_by_key(|name| place(name));
        serializer.collect_map(names.into_iter().map(|name| (name, Ordered(&self.1[name]))))
    }
}

/// A field that may be absent is one that may be null.
fn nullable(mut field: Value) -> Value {
    match field.get("type") {
        Some(Value::String(kind)) if field.get("enum").is_none() => {
            field["type"] = json!([kind, "null"]);
            field
        }
        Some(Value::Array(kinds)) if kinds.iter().any(|kind| kind == "null") => field,
        _ => match field.get_mut("anyOf").and_then(Value::as_array_mut) {
            Some(choices) => {
                if !choices.iter().any(|choice| choice["type"] == "null") {
                    choices.push(json!({"type": "null"}));
                }
                field
            }
            None => json!({"anyOf": [field, {"type": "null"}]}),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn schema() -> Value {
        json!({
            "$schema": "x", "title": "Plan", "type": "object", "required": ["kind", "steps"],
            "properties": {
                "kind": {"$ref": "#/$defs/Kind", "description": "which"},
                "steps": {"type": "array", "maxItems": 3, "items": {"type": "string", "maxLength": 10}},
                "note": {"type": "string", "maxLength": 5, "default": ""},
                "score": {"type": ["number", "null"], "format": "double", "minimum": 0},
                "inner": {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}]},
            },
            "$defs": {
                "Kind": {"oneOf": [{"const": "a", "description": "first"}, {"const": "b"}]},
                "Inner": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
            },
        })
    }

    #[test]
    fn bounded_schemas_keep_their_limits() {
        expect![[r#"{"additionalProperties":false,"properties":{"inner":{"anyOf":[{"additionalProperties":false,"properties":{"x":{"type":"integer"}},"required":["x"],"type":"object"},{"type":"null"}]},"kind":{"description":"which","enum":["a","b"],"type":"string"},"note":{"maxLength":5,"type":["string","null"]},"score":{"minimum":0,"type":["number","null"]},"steps":{"items":{"maxLength":10,"type":"string"},"maxItems":3,"type":"array"}},"required":["kind","steps","inner","note","score"],"type":"object"}"#]]
        .assert_eq(&bounded(&schema()).to_string());
    }

    #[test]
    fn portable_schemas_have_none() {
        let text = portable(&schema()).to_string();
        for word in
            ["maxLength", "maxItems", "minimum", "default", "format", "$ref", "$defs", "const", "title"]
        {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }

    #[test]
    fn fields_come_in_the_order_of_required() {
        let text = serde_json::to_string(&Ordered(&bounded(&schema()))).unwrap();
        let place = |name: &str| text.find(&format!("\"{name}\":{{")).unwrap();
        assert!(place("kind") < place("steps") && place("steps") < place("inner"), "{text}");
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back, bounded(&schema()));
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let endless = json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"]}}});
        assert!(bounded(&endless).to_string().len() < 10_000);
    }
}
