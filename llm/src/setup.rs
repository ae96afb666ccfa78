//! From configuration to a model: which endpoints, which key for which, what is known of providers.

use crate::endpoint::{Endpoint, EndpointSettings, Waits};
use crate::error::{LlmError, LlmErrorKind};
use crate::ledger::Ledger;
use crate::model::{ChatModel, Rung};
use crate::patient::{Patience, Patient};
use ansatz_core::clock::Clock;
use ansatz_core::secret::{Redactor, Secret};
use ansatz_core::seed::Seed;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The variable that holds the keys of what was chosen.
const KEYS: &str = "ANSATZ_LLM_API_KEY";

/// A provider: a name, its address, the variables in which its keys usually are, models that are surely its own.
struct Provider {
    host: &'static str,
    base: &'static str,
    keys: &'static [&'static str],
    models: &'static [&'static str],
    /// Where the ladder of structured output begins, so that a known refusal need not be paid for.
    rung: Rung,
}

const PROVIDERS: &[Provider] = &[
    Provider {
        host: "api.openai.com",
        base: "https://api.openai.com/v1",
        keys: &["OPENAI_API_KEY"],
        models: &["gpt-", "o1", "o3", "o4"],
        rung: Rung::Portable,
    },
    Provider {
        host: "openrouter.ai",
        base: "https://openrouter.ai/api/v1",
        keys: &["OPENROUTER_API_KEY"],
        models: &[],
        rung: Rung::Portable,
    },
    Provider {
        host: "generativelanguage.googleapis.com",
        base: "https://generativelanguage.googleapis.com/v1beta/openai",
        keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        models: &["gemini-"],
        rung: Rung::Portable,
    },
    Provider {
        host: "api.anthropic.com",
        base: "https://api.anthropic.com/v1",
        keys: &["ANTHROPIC_API_KEY"],
        models: &["claude-"],
        rung: Rung::Fenced,
    },
    Provider {
        host: "api.mistral.ai",
        base: "https://api.mistral.ai/v1",
        keys: &["MISTRAL_API_KEY"],
        models: &["mistral-", "magistral-"],
        rung: Rung::Portable,
    },
    Provider {
        host: "api.groq.com",
        base: "https://api.groq.com/openai/v1",
        keys: &["GROQ_API_KEY"],
        models: &[],
        rung: Rung::Object,
    },
    Provider {
        host: "api.deepseek.com",
        base: "https://api.deepseek.com/v1",
        keys: &["DEEPSEEK_API_KEY"],
        models: &["deepseek-"],
        rung: Rung::Object,
    },
    Provider {
        host: "api.together.xyz",
        base: "https://api.together.xyz/v1",
        keys: &["TOGETHER_API_KEY"],
        models: &[],
        rung: Rung::Portable,
    },
    Provider {
        host: "api.x.ai",
        base: "https://api.x.ai/v1",
        keys: &["XAI_API_KEY"],
        models: &["grok-"],
        rung: Rung::Portable,
    },
];

/// An endpoint and a model, without its key: fit to be journalled and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointChoice {
    /// The base URL.
    pub base: String,
    /// The model's name.
    pub model: String,
}

/// Which endpoints a run uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The preferred one first; the others are failed over to.
    pub endpoints: Vec<EndpointChoice>,
    /// Silence before the first word, in seconds.
    pub wait_s: f64,
    /// How much the model should think before it answers, in its provider's word; `None` leaves it to the model.
    #[serde(default)]
    pub effort: Option<String>,
}

/// Where the environment comes from: the value of a variable, if it is set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Setup {
    /// Pairs base URLs with models, both separated by commas. A model without a base URL goes to the provider whose own it
    /// surely is, when a key for it is there; nothing is ever chosen because of a key alone.
    ///
    /// # Errors
    /// What is missing, and a hint.
    pub fn resolve(
        base: Option<&str>,
        model: Option<&str>,
        wait_s: f64,
        lookup: Lookup,
    ) -> Result<Option<Self>, (String, String)> {
        let split = |text: &str| -> Vec<String> {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let (bases, models) = (split(base.unwrap_or_default()), split(model.unwrap_or_default()));
        let pairs = match (bases.is_empty(), models.is_empty()) {
            (true, true) => return Ok(None),
            (false, true) => {
                let hint =
                    "give --model NAME or set ANSATZ_LLM_MODEL; the endpoint lists its models at /models";
                return Err(("a language model's endpoint is set, but no model".into(), hint.into()));
            }
            (true, false) => models
                .iter()
                .map(|model| Ok((provider_of_model(model, lookup)?.base.to_owned(), model.clone())))
                .collect::<Result<Vec<_>, (String, String)>>()?,
            (false, false) if models.len() == 1 || models.len() == bases.len() => {
                let models = models.iter().cycle();
                bases.into_iter().zip(models.cloned()).collect()
            }
            _ => {
                let hint = "give one model for all endpoints, or one for each, separated by commas";
                return Err((format!("{} endpoints, but {} models", bases.len(), models.len()), hint.into()));
            }
        };
        let endpoints = pairs.into_iter().map(|(base, model)| EndpointChoice { base, model }).collect();
        Ok(Some(Self { endpoints, wait_s, effort: None }))
    }

    /// The key of each endpoint. `ANSATZ_LLM_API_KEY` holds one for each, separated by commas, with nothing where none is needed;
    /// what it says outranks a provider's own variable, which is used at that provider's own address alone.
    ///
    /// # Errors
    /// When it is not plain which key is for which endpoint, and a hint.
    pub fn keys(&self, lookup: Lookup) -> Result<Vec<Option<Secret>>, (String, String)> {
        let own = |choice: &EndpointChoice| {
            let provider = provider_at(&choice.base)?;
            provider.keys.iter().find_map(|name| Secret::new(&lookup(name)?))
        };
        let said = lookup(KEYS).filter(|said| !said.trim().is_empty());
        let Some(said) = said else { return Ok(self.endpoints.iter().map(own).collect()) };
        let given: Vec<Option<Secret>> = said.split(',').map(Secret::new).collect();
        let (keys, endpoints) = (given.len(), self.endpoints.len());
        if keys != endpoints {
            let plural = |n: usize| if n == 1 { "" } else { "s" };
            let message = format!(
                "{KEYS} holds {keys} key{} for {endpoints} endpoint{}",
                plural(keys),
                plural(endpoints)
            );
            let hint = "give one key for each endpoint, in their order and separated by commas, with nothing where none is needed \
                        (KEY1,,KEY3)";
            return Err((message, hint.into()));
        }
        Ok(self.endpoints.iter().zip(given).map(|(choice, given)| given.or_else(|| own(choice))).collect())
    }

    /// A patient caller of these endpoints, each booked in the ledger under its own name.
    ///
    /// # Errors
    /// When a base URL makes no sense.
    pub fn connect(
        &self,
        keys: &[Option<Secret>],
        patience: Patience,
        seed: Seed,
        clock: &Arc<dyn Clock>,
        ledger: &Arc<Ledger>,
    ) -> Result<Patient, LlmError> {
        let redactor = self.redactor(keys);
        let first_byte = Duration::try_from_secs_f64(self.wait_s).unwrap_or(Waits::default().first_byte);
        let waits = Waits { first_byte, total: patience.total.max(first_byte), ..Waits::default() };
        let mut models: Vec<Box<dyn ChatModel>> = Vec::new();
        for (n, choice) in self.endpoints.iter().enumerate() {
            let key = keys.get(n).cloned().flatten();
            let rung = provider_at(&choice.base).map_or(Rung::Bounded, |provider| provider.rung);
            let settings = EndpointSettings {
                waits,
                rung,
                effort: self.effort.clone(),
                redactor: redactor.clone(),
                ..EndpointSettings::new(&choice.base, &choice.model, key)
            };
            if settings.key.is_some() && !is_private(&choice.base) {
                let why = "the key is not sent over plain http to another machine".into();
                return Err(LlmError::new(choice.model.clone(), LlmErrorKind::Address(why)));
            }
            let endpoint = Endpoint::new(settings, Arc::clone(clock))?;
            models.push(Box::new(ledger.meter(endpoint, &choice.model)));
        }
        Ok(Patient::new(models, patience, seed))
    }

    /// Removes all keys from texts.
    pub fn redactor(&self, keys: &[Option<Secret>]) -> Redactor {
        let mut redactor = Redactor::default();
        keys.iter().flatten().for_each(|key| redactor.learn(key));
        redactor
    }
}

fn host(base: &str) -> Option<String> {
    reqwest::Url::parse(base).ok()?.host_str().map(str::to_owned)
}

fn provider_at(base: &str) -> Option<&'static Provider> {
    let host = host(base)?;
    PROVIDERS.iter().find(|provider| provider.host == host && base.starts_with("https://"))
}

fn provider_of_model(model: &str, lookup: Lookup) -> Result<&'static Provider, (String, String)> {
    let known =
        PROVIDERS.iter().find(|provider| provider.models.iter().any(|start| model.starts_with(start)));
    let refused = |hint: String| Err((format!("no endpoint is set for the model {model}"), hint));
    match known {
        None => refused("give --llm BASE_URL or set ANSATZ_LLM_BASE_URL".into()),
        Some(provider) => {
            let has_key = provider.keys.iter().chain(&[KEYS]).any(|name| lookup(name).is_some());
            if has_key {
                Ok(provider)
            } else {
                refused(format!("set {} for {}, or give --llm BASE_URL", provider.keys[0], provider.host))
            }
        }
    }
}

/// Whether a key sent there stays on this machine or is encrypted.
fn is_private(base: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(base) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    url.scheme() == "https"
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Caps;
    use ansatz_core::bill::PriceTable;

    fn resolved(base: Option<&str>, model: Option<&str>, variables: &[(&str, &str)]) -> String {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        match Setup::resolve(base, model, 60.0, &lookup) {
            Ok(None) => "none".into(),
            Ok(Some(setup)) => {
                let keys = match setup.keys(&lookup) {
                    Ok(keys) => keys,
                    Err((error, hint)) => return format!("error: {error} / {hint}"),
                };
                let shown = setup.endpoints.iter().zip(keys).map(|(choice, key)| {
                    format!(
                        "{} {} {}",
                        choice.base,
                        choice.model,
                        key.map_or("-".into(), |key| key.expose().to_owned())
                    )
                });
                shown.collect::<Vec<_>>().join("; ")
            }
            Err((error, hint)) => format!("error: {error} / {hint}"),
        }
    }

    #[test]
    fn nothing_is_chosen_because_of_a_key_alone() {
        assert_eq!(resolved(None, None, &[("OPENAI_API_KEY", "sk-1")]), "none");
    }

    #[test]
    fn keys_go_to_their_own_provider_alone() {
        let keys = [("OPENAI_API_KEY", "sk-1"), ("ANTHROPIC_API_KEY", "sk-2")];
        assert_eq!(resolved(Some("http://127.0.0.1:1/v1"), Some("m"), &keys), "http://127.0.0.1:1/v1 m -");
        assert_eq!(
            resolved(Some("https://api.openai.com/v1"), Some("m"), &keys),
            "https://api.openai.com/v1 m sk-1"
        );
        assert_eq!(
            resolved(Some("https://api.openai.com.evil.org/v1"), Some("m"), &keys),
            "https://api.openai.com.evil.org/v1 m -"
        );
        assert_eq!(
            resolved(Some("http://api.openai.com/v1"), Some("m"), &keys),
            "http://api.openai.com/v1 m -",
            "not in the clear"
        );
    }

    #[test]
    fn keys_that_were_said_go_to_the_endpoints_in_their_order() {
        let with = |bases: &str, said: &'static str| {
            resolved(Some(bases), Some("m"), &[("OPENAI_API_KEY", "sk-1"), ("ANSATZ_LLM_API_KEY", said)])
        };
        let one = "https://api.openai.com/v1";
        assert_eq!(with(one, "sk-3"), "https://api.openai.com/v1 m sk-3");
        assert_eq!(with(one, " "), "https://api.openai.com/v1 m sk-1", "nothing was said");
        let two = "https://api.openai.com/v1,https://x.org/v1";
        assert_eq!(with(two, "sk-3, sk-4"), "https://api.openai.com/v1 m sk-3; https://x.org/v1 m sk-4");
        assert_eq!(with(two, ",sk-4"), "https://api.openai.com/v1 m sk-1; https://x.org/v1 m sk-4");
        assert_eq!(with(two, "sk-3,"), "https://api.openai.com/v1 m sk-3; https://x.org/v1 m -");
    }

    #[test]
    fn a_key_that_may_be_for_several_endpoints_is_for_none() {
        let with = |bases: &str, said: &'static str| {
            resolved(Some(bases), Some("m"), &[("ANSATZ_LLM_API_KEY", said)])
        };
        let two = "https://x.org/v1,https://y.org/v1";
        let refused = with(two, "sk-3");
        assert!(refused.starts_with("error: ANSATZ_LLM_API_KEY holds 1 key for 2 endpoints / "), "{refused}");
        assert!(refused.contains("separated by commas") && !refused.contains("sk-3"), "{refused}");
        let refused = with("https://x.org/v1", "sk-3,sk-4");
        assert!(refused.contains("holds 2 keys for 1 endpoint / "), "{refused}");
    }

    #[test]
    fn a_model_finds_its_provider_when_there_is_a_key() {
        assert_eq!(
            resolved(None, Some("gpt-x"), &[("OPENAI_API_KEY", "sk-1")]),
            "https://api.openai.com/v1 gpt-x sk-1"
        );
        assert!(resolved(None, Some("gpt-x"), &[]).contains("set OPENAI_API_KEY for api.openai.com"));
        assert!(
            resolved(None, Some("mine"), &[("OPENAI_API_KEY", "sk-1")])
                .contains("no endpoint is set for the model mine")
        );
    }

    #[test]
    fn numbers_of_endpoints_and_models_must_agree() {
        assert_eq!(
            resolved(Some("http://a/v1, http://b/v1"), Some("m, n"), &[]),
            "http://a/v1 m -; http://b/v1 n -"
        );
        assert!(resolved(Some("http://a/v1"), Some("m,n"), &[]).contains("1 endpoints, but 2 models"));
        assert!(resolved(Some("http://a/v1"), None, &[]).contains("but no model"));
    }

    #[test]
    fn a_key_does_not_cross_a_network_in_the_clear() {
        let endpoints = vec![EndpointChoice { base: "http://192.0.2.1/v1".into(), model: "m".into() }];
        let setup = Setup { endpoints, wait_s: 60.0, effort: None };
        let clock: Arc<dyn Clock> = Arc::new(ansatz_core::clock::ManualClock::default());
        let ledger = Arc::new(Ledger::new(Caps::default(), PriceTable::default()));
        let with = |key: Option<Secret>| {
            setup.connect(&[key], Patience::default(), Seed(0), &clock, &ledger).is_ok()
        };
        assert!(with(None) && !with(Secret::new("sk-1")));
    }
}
