//! The language model of a run, from flags, environment and configuration: what was typed becomes what the engine takes.
//! Keys stay apart: they are read here and handed over, and neither journalled nor shown.

use crate::config::Config;
use crate::exit::Failure;
use crate::surroundings::Surroundings;
use ansatz_core::secret::Secret;
use ansatz_engine::LlmOptions;
use ansatz_llm::Setup;
use clap::Args;
use std::path::PathBuf;

/// Flags about language models.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct LlmFlags {
    /// Base URL of a language model's endpoint (any OpenAI-compatible one), or several with commas to fail over
    #[arg(long, value_name = "BASE_URL")]
    pub llm: Option<String>,
    /// Name of the model
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Base URL of a search endpoint (`SearXNG`) whose pages the planner reads
    #[arg(long, value_name = "BASE_URL")]
    pub search_url: Option<String>,
    /// Stop when the language model cannot be used, instead of going on with the playbook alone
    #[arg(long)]
    pub require_llm: bool,
    /// Most tokens to use, in both directions
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u64>,
    /// Most USD to spend on language models
    #[arg(long, value_name = "X", value_parser = usd)]
    pub max_usd: Option<f64>,
    /// Record all calls of language models here
    #[arg(long, value_name = "DIR", conflicts_with = "replay")]
    pub record: Option<PathBuf>,
    /// Play a recording instead of calling language models
    #[arg(long, value_name = "DIR")]
    pub replay: Option<PathBuf>,
}

fn usd(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it must be a number".to_owned())?;
    if number.is_finite() && number >= 0.0 { Ok(number) } else { Err("it must be at least 0".into()) }
}

/// The key of each endpoint of a language model. None at all when it is not plain which is for which, as [`resolve`] says: a
/// key goes nowhere by guess.
pub fn keys(options: Option<&LlmOptions>, surroundings: &Surroundings) -> Vec<Option<Secret>> {
    let keys = options.map(|options| options.setup.keys(&|name| surroundings.text(name)));
    keys.and_then(Result::ok).unwrap_or_default()
}

/// The language model to use; `None` when none is configured.
///
/// # Errors
/// An endpoint without a model, keys that fit no endpoints, a cap in USD without a price, `--require-llm` without an endpoint.
pub fn resolve(
    flags: &LlmFlags,
    surroundings: &Surroundings,
    config: &Config,
) -> Result<Option<LlmOptions>, Failure> {
    let base = flags.llm.as_deref().or_else(|| config.text("llm_base_url"));
    // A provider's own variable counts where a model was asked for by name.
    let model = flags.model.as_deref().or_else(|| config.text("llm_model"));
    let lookup = |name: &str| surroundings.text(name);
    let openai = lookup("OPENAI_BASE_URL").filter(|_| base.is_none() && model.is_some());
    let wait_s = config.number("llm_wait").unwrap_or(60.0);
    let usage = |(message, hint): (String, String)| Failure::usage(message).hint(hint);
    let setup = Setup::resolve(base.or(openai.as_deref()), model, wait_s, &lookup).map_err(usage)?;
    let is_required = flags.require_llm || config.truth("require_llm");
    let replay = flags.replay.as_ref().map(|path| surroundings.absolute(path));
    let setup = match setup {
        Some(setup) => Setup { effort: config.text("llm_reasoning_effort").map(str::to_owned), ..setup },
        None if replay.is_some() => Setup { endpoints: Vec::new(), wait_s, effort: None },
        None if is_required => {
            return Err(Failure::usage("a language model is required, but none is configured").hint(
                "give --llm BASE_URL and --model NAME, or set ANSATZ_LLM_BASE_URL and ANSATZ_LLM_MODEL",
            ));
        }
        None => return Ok(None),
    };
    // A recording is played without any key.
    if replay.is_none() {
        setup.keys(&lookup).map_err(usage)?;
    }
    let (prices, max_usd) = (config.prices(), max_usd(flags, config));
    let unpriced = setup.endpoints.iter().find(|choice| prices.price(&choice.model).is_none());
    if let (Some(choice), Some(_)) = (unpriced, max_usd) {
        return Err(Failure::usage(format!(
            "no price is known for {}, so --max-usd cannot be kept",
            choice.model
        ))
        .hint("add it below [prices.models] in your configuration, or use --max-tokens"));
    }
    Ok(Some(LlmOptions {
        setup,
        is_required,
        prices,
        prompts: config.folder("prompts").map(|path| surroundings.absolute(path)),
        search: flags.search_url.as_deref().or_else(|| config.text("search_url")).map(str::to_owned),
        record: flags.record.as_ref().map(|path| surroundings.absolute(path)),
        replay,
    }))
}

/// The cap in tokens.
pub fn max_tokens(flags: &LlmFlags, config: &Config) -> Option<u64> {
    flags.max_tokens.or_else(|| config.whole("max_tokens"))
}

/// The cap in USD.
pub fn max_usd(flags: &LlmFlags, config: &Config) -> Option<f64> {
    flags.max_usd.or_else(|| config.number("max_usd"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const TWO: [(&str, &str); 2] =
        [("ANSATZ_LLM_BASE_URL", "https://a.org/v1,https://b.org/v1"), ("ANSATZ_LLM_MODEL", "m")];

    /// What comes of these variables, with the key of each endpoint.
    fn resolved(flags: &LlmFlags, variables: &[(&str, &str)]) -> Result<(LlmOptions, Vec<String>), Failure> {
        let surroundings = Surroundings::made_up(Path::new("/nowhere"), variables);
        let options = resolve(flags, &surroundings, &Config::read(&surroundings)?)?.unwrap();
        let keys = keys(Some(&options), &surroundings);
        let shown = keys.iter().map(|key| key.as_ref().map_or("-", Secret::expose).to_owned()).collect();
        Ok((options, shown))
    }

    #[test]
    fn each_endpoint_has_its_own_key_or_the_user_is_told() {
        let with = |keys: &'static str| [&TWO[..], &[("ANSATZ_LLM_API_KEY", keys)]].concat();
        let flags = LlmFlags::default();
        assert_eq!(resolved(&flags, &with("sk-1,sk-2")).unwrap().1, ["sk-1", "sk-2"]);
        assert_eq!(resolved(&flags, &with("sk-1,")).unwrap().1, ["sk-1", "-"]);
        let failure = resolved(&flags, &with("sk-1")).unwrap_err();
        assert_eq!(failure.exit, crate::exit::Exit::Usage);
        assert_eq!(failure.message, "ANSATZ_LLM_API_KEY holds 1 key for 2 endpoints");
        assert!(failure.hint.is_some_and(|hint| hint.contains("separated by commas")));
        let replayed = LlmFlags { replay: Some("r".into()), ..LlmFlags::default() };
        assert!(resolved(&replayed, &with("sk-1")).unwrap().1.is_empty(), "a recording needs none");
    }

    #[test]
    fn how_much_a_model_thinks_is_configured() {
        let of = |more: &[(&str, &str)]| {
            let variables = [&TWO[..], more].concat();
            resolved(&LlmFlags::default(), &variables).map(|(options, _)| options.setup.effort)
        };
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[("ANSATZ_LLM_REASONING_EFFORT", "low")]).unwrap().as_deref(), Some("low"));
        let failure = of(&[("ANSATZ_LLM_REASONING_EFFORT", "very low")]).unwrap_err();
        assert!(failure.message.contains("a word in small letters"), "{}", failure.message);
    }
}
