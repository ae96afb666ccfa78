//! Data from elsewhere: brought before the run's time begins, journalled with where they came from.

use crate::control::Control;
use crate::error::RunError;
use crate::observer::Note;
use crate::options::{Keys, Options};
use crate::record::Record;
use ansatz_agents::understand::Understood;
use ansatz_core::event::Event;
use ansatz_core::outcome::DroppedColumn;
use ansatz_core::profile::Profile;
use ansatz_core::task::Inference;
use ansatz_sources::{Acquired, Source};
use std::time::{Duration, Instant};

/// How often a download is told about.
const TOLD_EVERY: Duration = Duration::from_secs(2);

/// Brings the data, when they come from elsewhere.
///
/// # Errors
/// They cannot be had; the message says why, and the hint what to do.
pub fn acquire(
    options: &Options,
    keys: &Keys,
    stop: &Control,
    record: &mut Record,
) -> Result<Option<Acquired>, RunError> {
    let Some(asked) = &options.source else { return Ok(None) };
    let Some(source) = Source::read(&asked.named, &asked.settings) else {
        return Err(RunError::usage(format!("{} names no source", asked.named)));
    };
    let source = source?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::failed(format!("starting the runtime: {error}")))?;
    let mut told = Instant::now();
    let mut progress = |what: &str, bytes: u64, all: Option<u64>| {
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            record.note(&Note::Fetching(line(what, bytes, all)));
        }
    };
    let fetching =
        ansatz_sources::acquire(&source, &asked.settings, keys.hf.as_ref(), &options.home, &mut progress);
    let acquired = runtime.block_on(async {
        tokio::select! {
            done = fetching => done.map_err(RunError::from),
            () = stop.wished() => Err(RunError::failed("stopped while the data were on their way")
                .hint("`ansatz resume` goes on with the download where it ended")),
        }
    })?;
    for provenance in &acquired.provenance {
        record.write(Event::Fetched { provenance: Box::new(provenance.clone()) })?;
    }
    for warning in &acquired.warnings {
        record.warn(warning.clone())?;
    }
    Ok(Some(acquired))
}

fn line(what: &str, bytes: u64, all: Option<u64>) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    match all {
        Some(all) => format!("fetching {what}: {:.1} of {:.1} MiB", mib(bytes), mib(all)),
        None => format!("fetching {what}: {:.1} MiB", mib(bytes)),
    }
}

/// What the source proposes, for whoever works out the task.
pub fn proposed(acquired: &Acquired) -> Vec<Inference> {
    let named = [("target", &acquired.target), ("id", &acquired.id)];
    named
        .into_iter()
        .filter_map(|(field, named)| {
            let named = named.as_ref()?;
            Some(Inference {
                field: field.into(),
                value: named.column.clone(),
                because: named.because.clone(),
            })
        })
        .collect()
}

/// Leaves out the columns that the source advises against, unless the user wants one of them.
pub fn leave_out(acquired: &Acquired, options: &Options, understood: &mut Understood, profile: &Profile) {
    for column in &acquired.ignored {
        let is_wanted = *column == understood.task.target
            || understood.task.id.as_ref() == Some(column)
            || options.request.as_ref().is_some_and(|words| words.contains(column.as_str()));
        let is_known = profile.column(column).is_some()
            && !understood.excluded.iter().any(|excluded| excluded.column == *column);
        if is_known && !is_wanted {
            let evidence = "the source of the data advises to leave it out".to_owned();
            understood.excluded.push(DroppedColumn {
                column: column.clone(),
                reason: "ignored".into(),
                evidence,
            });
        }
    }
}
