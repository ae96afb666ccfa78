//! Spaces built in code, out of smaller ones.

use super::{Condition, Domain, Parameter, Rule, Scale, Space, SpaceError};
use serde_json::Value;

/// Parameters added one by one; choices that open whole spaces.
///
/// ```
/// # use ansatz_tuner::space::{Builder, Space};
/// let linear = Builder::new().log_float("penalty", 1e-4, 1e2).build()?;
/// let forest = Builder::new().int("trees", 50, 500).bool("bootstrap").build()?;
/// let space = Builder::new()
///     .choice("model", [("linear", Some(linear)), ("forest", Some(forest)), ("constant", None)])
///     .build()?;
/// assert!(space.is_conditional());
/// # Ok::<(), ansatz_tuner::space::SpaceError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Builder {
    parameters: Vec<Parameter>,
    rules: Vec<(String, Option<String>)>,
}

impl Builder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter.
    #[must_use]
    pub fn parameter(mut self, name: &str, domain: Domain) -> Self {
        let name = name.to_owned();
        self.parameters.push(Parameter { name, domain, default: None, when: Vec::new(), description: None });
        self
    }

    /// Adds a real number.
    #[must_use]
    pub fn float(self, name: &str, low: f64, high: f64) -> Self {
        self.parameter(name, Domain::Float { low, high, scale: Scale::Linear, step: None })
    }

    /// Adds a real number whose ratios count.
    #[must_use]
    pub fn log_float(self, name: &str, low: f64, high: f64) -> Self {
        self.parameter(name, Domain::Float { low, high, scale: Scale::Log, step: None })
    }

    /// Adds a whole number.
    #[must_use]
    pub fn int(self, name: &str, low: i64, high: i64) -> Self {
        self.parameter(name, Domain::Int { low, high, scale: Scale::Linear, step: 1 })
    }

    /// Adds a whole number whose ratios count.
    #[must_use]
    pub fn log_int(self, name: &str, low: i64, high: i64) -> Self {
        self.parameter(name, Domain::Int { low, high, scale: Scale::Log, step: 1 })
    }

    /// Adds a yes or no.
    #[must_use]
    pub fn bool(self, name: &str) -> Self {
        self.parameter(name, Domain::Bool)
    }

    /// Adds a choice among values without an order.
    #[must_use]
    pub fn categorical<V: Into<Value>>(self, name: &str, values: impl IntoIterator<Item = V>) -> Self {
        self.parameter(name, Domain::Categorical { values: values.into_iter().map(Into::into).collect() })
    }

    /// Adds a choice among values in order.
    #[must_use]
    pub fn ordinal<V: Into<Value>>(self, name: &str, values: impl IntoIterator<Item = V>) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.parameter(name, Domain::Ordinal { values, scale: Scale::Linear })
    }

    /// Binds the parameter added last to values of another.
    #[must_use]
    pub fn when<V: Into<Value>>(mut self, parameter: &str, values: impl IntoIterator<Item = V>) -> Self {
        if let Some(last) = self.parameters.last_mut() {
            let values = values.into_iter().map(Into::into).collect();
            last.when.push(Condition { parameter: parameter.into(), values });
        }
        self
    }

    /// Says where to start with the parameter added last.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<Value>) -> Self {
        if let Some(last) = self.parameters.last_mut() {
            last.default = Some(value.into());
        }
        self
    }

    /// Adds a choice each of whose values opens a space (or nothing). The opened parameters are named
    /// `value.parameter`, so that equal names in different branches do not meet.
    #[must_use]
    pub fn choice<'a>(
        mut self,
        name: &str,
        branches: impl IntoIterator<Item = (&'a str, Option<Space>)>,
    ) -> Self {
        let branches: Vec<_> = branches.into_iter().collect();
        self = self.categorical(name, branches.iter().map(|(value, _)| *value));
        for (value, opened) in branches {
            self.open(name, &[Value::from(value)], value, opened);
        }
        self
    }

    /// Adds a space that is there or not, decided by a new yes or no called `name`.
    #[must_use]
    pub fn optional(mut self, name: &str, opened: Space) -> Self {
        self = self.bool(name);
        self.open(name, &[Value::Bool(true)], name, Some(opened));
        self
    }

    /// Adds `low` to `high` copies of a space, their number a new parameter called `name`; the parameters of copy `k`
    /// are named `name.k.parameter`.
    #[must_use]
    pub fn repeat(mut self, name: &str, low: i64, high: i64, each: &Space) -> Self {
        self = self.int(name, low, high);
        for copy in 1..=high {
            let enough: Vec<Value> = (low.max(copy)..=high).map(Value::from).collect();
            self.open(name, &enough, &format!("{name}.{copy}"), Some(each.clone()));
        }
        self
    }

    /// Adds a rule between parameters.
    #[must_use]
    pub fn rule(mut self, text: &str) -> Self {
        self.rules.push((text.into(), None));
        self
    }

    /// The space, checked.
    pub fn build(self) -> Result<Space, SpaceError> {
        let rules = self.rules.iter().map(|(text, because)| Rule::new(text, because.clone()));
        Space::new(self.parameters, rules.collect::<Result<_, _>>()?)
    }

    fn open(&mut self, parent: &str, values: &[Value], prefix: &str, opened: Option<Space>) {
        let Some(opened) = opened else { return };
        let renamed = |name: &str| format!("{prefix}.{name}");
        for mut parameter in opened.parameters {
            parameter.name = renamed(&parameter.name);
            for condition in &mut parameter.when {
                condition.parameter = renamed(&condition.parameter);
            }
            // Deeper ones count only where what they depend on counts, so the outermost need the new condition alone.
            if parameter.when.is_empty() {
                parameter.when.push(Condition { parameter: parent.into(), values: values.to_vec() });
            }
            self.parameters.push(parameter);
        }
        for rule in opened.rules {
            self.rules.push((rule.renamed(&renamed), rule.because().map(str::to_owned)));
        }
    }
}
