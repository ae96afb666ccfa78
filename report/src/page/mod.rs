//! The page: put together from sections, each of which shows one thing or nothing.
//!
//! It is one file without script, font or picture from elsewhere, so it works from a disk, in a mail, and years later. While
//! the run goes on, it asks the browser to read it again every few seconds. All text goes through `text::visible` and is
//! escaped by the template.

mod data;
mod pictures;
mod plan;
mod search;
mod summary;
mod technical;

use crate::headline::Headline;
use crate::live::Live;
use crate::text;
use ansatz_core::outcome::RunResult;
use ansatz_planner::Plan;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");

/// Seconds after which a page of a running run is read again.
const REFRESH_S: u32 = 3;

/// Nothing may be loaded and nothing may run, whatever a column is called.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Everything that a section may look at.
pub(crate) struct Sheet<'a> {
    live: &'a Live,
    result: Option<&'a RunResult>,
    plan: Option<&'a Plan>,
    headline: Option<Headline>,
}

impl Sheet<'_> {
    fn higher_is_better(&self) -> bool {
        self.result
            .and_then(|result| result.task.as_ref())
            .map_or_else(|| self.live.higher_is_better(), |task| task.higher_is_better)
    }

    fn name(&self) -> String {
        let name = self.live.task.as_ref().map(|task| task.name.as_str()).filter(|name| !name.is_empty());
        let run = self.result.map_or(self.live.run.as_str(), |result| result.run.as_str());
        text::visible(name.unwrap_or(run), text::NAME_WIDTH)
    }
}

/// One self-contained page about a run.
///
/// `live` is the fold over its events so far; `result` is what came out, once there is one (without it, the one in
/// `live` is used); `plan` adds the drawing of the plan. Any of them may be empty: what is not known is left out.
pub fn page(live: &Live, result: Option<&RunResult>, plan: Option<&Plan>) -> String {
    let result = result.or(live.result.as_deref());
    let sheet = Sheet { live, result, plan, headline: result.map(Headline::of) };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(CONTENT_POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                @if result.is_none() {
                    meta http-equiv="refresh" content=(REFRESH_S);
                }
                title { (sheet.name()) " · Ansatz" }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (sections(&sheet)) } }
        }
    }
    .into_string()
}

fn sections(sheet: &Sheet) -> Markup {
    html! {
        (summary::header(sheet))
        (summary::leaks(sheet))
        @if sheet.result.is_some() { (summary::tiles(sheet)) } @else { (summary::progress(sheet)) }
        (pictures::scores(sheet))
        (search::history(sheet))
        (search::leaderboard(sheet))
        (plan::plan(sheet))
        (data::dropped(sheet))
        (technical::checks(sheet))
        (technical::warnings(sheet))
        (technical::budget(sheet))
        (technical::sandbox(sheet))
        (technical::reproduce(sheet))
        (technical::footer(sheet))
    }
}

/// A text from outside as it is shown in running text.
fn shown(content: &str) -> String {
    text::visible(content, text::MESSAGE_WIDTH)
}

/// A name from outside; its direction of writing does not spread to what follows.
fn named(content: &str) -> Markup {
    html! { bdi { code { (text::visible(content, text::NAME_WIDTH)) } } }
}
