//! Columns that are not used, each with the evidence against it.

use super::{Sheet, named, shown};
use crate::headline::is_leak;
use crate::number::{count, counted};
use ansatz_core::source::Provenance;
use maud::{Markup, html};

/// Columns shown; the rest is in `result.json`.
const COLUMNS_MAX: usize = 200;

/// What was sealed, and the table of dropped columns, leaks first.
pub(super) fn dropped(sheet: &Sheet) -> Markup {
    let all = match sheet.result {
        Some(result) => &result.dropped,
        None => &sheet.live.dropped,
    };
    let mut columns: Vec<_> = all.iter().collect();
    columns.sort_by_key(|column| !is_leak(column));
    let inferred = sheet.live.task.as_ref().map(|task| task.inferred.as_slice()).unwrap_or_default();
    let sources = sheet.result.map_or(&sheet.live.sources, |result| &result.sources);
    if columns.is_empty() && sheet.live.sealed.is_none() && inferred.is_empty() && sources.is_empty() {
        return html! {};
    }
    html! {
        h2 { "Data" }
        (origins(sources))
        @if let Some((rows, method)) = &sheet.live.sealed {
            p { (counted(*rows, "row was", "rows were")) " sealed before anything was tried (" (shown(method)) "); no candidate ever saw them." }
        }
        @if !inferred.is_empty() {
            ul {
                @for inference in inferred {
                    li { (shown(&inference.field)) ": " (named(&inference.value)) " " span.soft { bdi { (shown(&inference.because)) } } }
                }
            }
        }
        @if !columns.is_empty() {
            p { "Columns that are not used:" }
            .scroll { table {
                thead { tr { th { "column" } th { "reason" } th { "evidence" } } }
                tbody {
                    @for column in columns.iter().take(COLUMNS_MAX) {
                        tr {
                            td { (named(&column.column)) }
                            td { span.pill.bad[is_leak(column)] { (shown(&column.reason.replace('_', " "))) } }
                            td { bdi { (shown(&column.evidence)) } }
                        }
                    }
                }
            } }
            @if columns.len() > COLUMNS_MAX {
                p.soft { (count((columns.len() - COLUMNS_MAX) as u64)) " more in " code { "result.json" } "." }
            }
        }
    }
}

/// Where the data came from.
fn origins(sources: &[Provenance]) -> Markup {
    html! {
        @if !sources.is_empty() {
            p { "Where the data came from:" }
            .scroll { table {
                thead { tr { th { "source" } th { "file" } th { "version" } th { "licence" } th { "bytes" } th { "SHA-256" } } }
                tbody {
                    @for source in sources.iter().take(COLUMNS_MAX) {
                        tr {
                            td { (named(&source.source)) }
                            td { bdi { (shown(&source.role)) ": " (shown(&source.address)) } }
                            td { bdi { (shown(source.version.as_deref().unwrap_or("not told"))) } }
                            td { bdi { (shown(source.licence.as_deref().unwrap_or("not told"))) } }
                            td { (count(source.bytes)) @if let Some(kind) = &source.checked { " " span.soft { (shown(kind)) " checked" } } }
                            td { code { (shown(source.sha256.get(..16).unwrap_or_default())) } }
                        }
                    }
                }
            } }
        }
    }
}
