//! The JSON schema of a space's configurations: for programs and for language models that answer by schema.

use super::{Condition, Domain, Space};
use serde_json::{Map, Value, json};

impl Space {
    /// A JSON schema that exactly the configurations of this space satisfy, but for steps of real numbers and rules
    /// between parameters, which are said in descriptions.
    pub fn json_schema(&self) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut conditional = Vec::new();
        for parameter in self.parameters() {
            let mut schema = of_domain(&parameter.domain);
            let mut said: Vec<String> = parameter.description.clone().into_iter().collect();
            if let Domain::Float { step: Some(step), low, .. } = &parameter.domain {
                said.push(format!("in steps of {step:?} from {low:?}"));
            }
            if !said.is_empty() {
                schema["description"] = said.join("; ").into();
            }
            if let Some(default) = &parameter.default {
                schema["default"] = default.clone();
            }
            properties.insert(parameter.name.clone(), schema);
            if parameter.when.is_empty() {
                required.push(Value::from(parameter.name.clone()));
            } else {
                conditional.push(json!({
                    "if": holds(&parameter.when),
                    "then": { "required": [parameter.name] },
                    "else": { "properties": { parameter.name.clone(): false } },
                }));
            }
        }
        let mut schema = json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        if !conditional.is_empty() {
            schema["allOf"] = conditional.into();
        }
        if !self.rules().is_empty() {
            let rules: Vec<String> = self.rules().iter().map(ToString::to_string).collect();
            schema["description"] = format!("must keep: {}", rules.join("; ")).into();
        }
        schema
    }
}

fn holds(conditions: &[Condition]) -> Value {
    let properties: Map<String, Value> =
        conditions.iter().map(|c| (c.parameter.clone(), json!({ "enum": c.values }))).collect();
    let required: Vec<&String> = conditions.iter().map(|c| &c.parameter).collect();
    json!({ "properties": properties, "required": required })
}

fn of_domain(domain: &Domain) -> Value {
    match domain {
        Domain::Float { low, high, .. } => json!({ "type": "number", "minimum": low, "maximum": high }),
        Domain::Int { low, high, step: 1, .. } => {
            json!({ "type": "integer", "minimum": low, "maximum": high })
        }
        Domain::Int { low, high, step, .. } if low % step == 0 => {
            json!({ "type": "integer", "minimum": low, "maximum": high, "multipleOf": step })
        }
        Domain::Int { low, high, step, .. } if (high - low) / step < 256 => {
            json!({ "enum": (*low..=*high).step_by(*step as usize).collect::<Vec<_>>() })
        }
        Domain::Int { low, high, step, .. } => {
            let said = format!("in steps of {step} from {low}");
            json!({ "type": "integer", "minimum": low, "maximum": high, "description": said })
        }
        Domain::Bool => json!({ "type": "boolean" }),
        Domain::Categorical { values } | Domain::Ordinal { values, .. } => json!({ "enum": values }),
    }
}
