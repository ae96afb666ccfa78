//! Replies: types with their JSON schemas, every text and list limited.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a prompt asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplyForm {
    /// JSON by a schema.
    Json {
        /// Name of the schema.
        name: &'static str,
        /// The schema.
        schema: Value,
        /// Tokens that the answer may have.
        tokens_max: u32,
    },
    /// Code in fenced blocks.
    Code {
        /// Tokens that the answer may have.
        tokens_max: u32,
    },
}

/// A typed reply.
pub trait Reply: DeserializeOwned + JsonSchema {
    /// Name of its schema.
    const NAME: &'static str;

    /// Tokens that it may have.
    const TOKENS_MAX: u32;

    /// The form to ask for.
    fn form() -> ReplyForm {
        ReplyForm::Json { name: Self::NAME, schema: schema_of::<Self>(), tokens_max: Self::TOKENS_MAX }
    }
}

/// The JSON schema of a type, references put in place.
pub fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    schema.to_value()
}

/// A value of a parameter: truth, number or text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Truth(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(#[schemars(length(max = 80))] String),
}

impl Scalar {
    /// As JSON; whole numbers without a point.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Truth(truth) => (*truth).into(),
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => (*number as i64).into(),
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.clone().into(),
        }
    }
}

/// A parameter and its value. A list of these stands for an object, whose names strict schemas could not leave open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// The parameter.
    #[schemars(length(max = 64))]
    pub name: String,
    /// Its value.
    pub value: Scalar,
}
