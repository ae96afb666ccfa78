//! Room for thoughts: a model that thinks before it answers spends the limit of its answer on that, often unseen. How much room
//! it needs beside the answer is learnt from what comes back, for each endpoint and model, and kept for the life of the process.

use crate::cut;
use crate::error::LlmErrorKind;
use crate::model::{Answer, Finish, Left, tokens_estimated};

/// Most tokens of room: few models may write more.
const ROOM_MAX: u32 = 32_000;

/// Fewest tokens of room that are worth asking for.
const ROOM_MIN: u32 = 256;

/// The limit of a repeat, in multiples of the one that thoughts used up.
const WIDER: u32 = 4;

/// One call's thoughts get at most one part in so many of what caps leave.
const PARTS: u64 = 2;

/// Room that a request has beside its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Tokens that are asked for.
    pub wanted: u32,
    /// Tokens without which asking is of no use; above 0 for a repeat alone.
    pub least: u32,
}

impl Room {
    /// The room of a repeat of what was cut at `limit` tokens, when thoughts used them up; `None` when something else did, or
    /// when there is no more room.
    pub fn of_repeat(cut: &Answer, tokens_max: u32, limit: u32) -> Option<Self> {
        let wanted = limit.saturating_mul(WIDER).saturating_sub(tokens_max).min(ROOM_MAX);
        let least = limit.saturating_mul(2).saturating_sub(tokens_max).min(wanted);
        let is_more = tokens_max.saturating_add(wanted) > limit;
        let is_thought = cut.text.is_empty() || thoughts(cut) > 0;
        (cut.finish == Finish::Length && is_thought && is_more).then_some(Self { wanted, least })
    }

    /// The room as far as caps leave it: at most half of what is left, so that one call's thoughts do not take it all. Half of what
    /// is wanted is what thoughts were seen to need: for that much the call waits until others have ended.
    #[must_use]
    pub fn within(self, left: Left) -> Self {
        let [now, later] = [left.now, left.later].map(|left| u32::try_from(left / PARTS).unwrap_or(u32::MAX));
        let wanted = self.wanted.min(now.max(later.min(self.wanted / 2)));
        if wanted == self.wanted {
            return self;
        }
        let wanted = if wanted < ROOM_MIN { self.least } else { wanted.max(self.least) };
        Self { wanted, ..self }
    }

    /// Less room, after a failure that it may heal: what a cap or the model's context does not hold. `None` for other failures,
    /// and when less is of no use.
    pub fn less(self, failure: &LlmErrorKind) -> Option<Self> {
        let part = match failure {
            LlmErrorKind::Cap(_) => 2,
            // Larger steps, for the endpoint is asked at each.
            LlmErrorKind::ContextOverflow(_) if !cut::is_silent(failure) => 4,
            _ => return None,
        };
        let less = self.wanted / part;
        let wanted = if less < ROOM_MIN { self.least } else { less.max(self.least) };
        (self.wanted > self.least).then_some(Self { wanted, ..self })
    }
}

/// What is known of the thoughts of one endpoint's model.
#[derive(Debug, Clone, Copy)]
pub struct Thinking {
    /// Tokens that they may need.
    room: u32,
    /// Tokens that the model's context leaves for them, as far as is known.
    room_max: u32,
}

impl Default for Thinking {
    /// None were seen.
    fn default() -> Self {
        Self { room: 0, room_max: ROOM_MAX }
    }
}

impl Thinking {
    /// Tokens to add to the limit of an answer.
    pub fn room(self) -> u32 {
        self.room.min(self.room_max)
    }

    /// Learns from an answer that came with so much room: the next may need twice the thoughts.
    pub fn saw(&mut self, answer: &Answer, room: Room) {
        let seen = u32::try_from(thoughts(answer).saturating_mul(2)).unwrap_or(u32::MAX);
        // Thoughts that nobody counts needed what a repeat gave them.
        let unseen = if room.least > 0 { room.wanted } else { 0 };
        let needed = if seen > 0 { seen } else { unseen };
        self.room = self.room.max(needed).min(ROOM_MAX);
    }

    /// Learns that the model's context leaves no more than this.
    pub fn bound(&mut self, room: u32) {
        self.room_max = room;
    }
}

/// Tokens of thoughts in an answer: as counted by the provider, else estimated from those that it shows.
fn thoughts(answer: &Answer) -> u64 {
    let counted = answer.usage.reasoning.filter(|counted| *counted > 0);
    let shown = || answer.reasoning.as_ref().map_or(0, |text| tokens_estimated(text.chars().count()));
    counted.unwrap_or_else(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::answered;
    use ansatz_core::bill::Usage;

    fn cut(text: &str, reasoning: Option<u64>) -> Answer {
        let answer = answered(text);
        Answer { finish: Finish::Length, usage: Usage { reasoning, ..answer.usage }, ..answer }
    }

    #[test]
    fn thoughts_that_used_up_the_limit_get_four_times_as_much() {
        for answer in [cut("", None), cut("", Some(100)), cut("half of", Some(80))] {
            assert_eq!(Room::of_repeat(&answer, 100, 100), Some(Room { wanted: 300, least: 100 }));
        }
        let shown = Answer { reasoning: Some("let me see".into()), ..cut("half of", None) };
        assert!(Room::of_repeat(&shown, 100, 100).is_some());
        assert_eq!(Room::of_repeat(&cut("half of", Some(0)), 100, 100), None, "words used it up");
        assert_eq!(Room::of_repeat(&answered(""), 100, 100), None, "it was not cut");
        assert_eq!(Room::of_repeat(&cut("", None), 5000, 37_000), None, "there is no more");
    }

    #[test]
    fn less_room_is_asked_for_where_a_cap_or_the_context_holds_no_more() {
        let room = Room { wanted: 1200, least: 0 };
        let cap = LlmErrorKind::Cap(String::new());
        let steps: Vec<u32> =
            std::iter::successors(Some(room), |room| room.less(&cap)).map(|room| room.wanted).collect();
        assert_eq!(steps, [1200, 600, 300, 0]);
        let overflow = LlmErrorKind::ContextOverflow("too long".into());
        assert_eq!(room.less(&overflow), Some(Room { wanted: 300, least: 0 }));
        assert_eq!(Room { least: 500, ..room }.less(&overflow), Some(Room { wanted: 500, least: 500 }));
        assert_eq!(Room { wanted: 500, least: 500 }.less(&overflow), None);
        assert_eq!(room.less(&LlmErrorKind::Empty), None);
        assert_eq!(
            room.less(&LlmErrorKind::ContextOverflow(cut::words("m"))),
            None,
            "room has no part in it"
        );
    }

    #[test]
    fn one_calls_thoughts_take_no_more_than_half_of_what_caps_leave() {
        let room = Room { wanted: 8000, least: 0 };
        let within = |room: Room, now, later| room.within(Left { now, later }).wanted;
        assert_eq!(room.within(Left::default()), room);
        assert_eq!(within(room, 16_000, 16_000), 8000);
        assert_eq!(within(room, 15_000, 15_000), 7500);
        assert_eq!(within(room, 3000, 15_000), 4000, "what was seen to be needed is worth waiting for");
        assert_eq!(within(room, 3000, 5000), 2500, "but no more than half of what there can be");
        assert_eq!(within(room, 400, 400), 0, "too little to be of use");
        assert_eq!(within(Room { least: 1000, ..room }, 400, 400), 1000);
        assert_eq!(within(Room { wanted: 100, least: 0 }, 300, 300), 100);
    }

    #[test]
    fn the_room_that_was_needed_is_remembered() {
        let mut thinking = Thinking::default();
        thinking.saw(&answered("no thoughts"), Room::default());
        assert_eq!(thinking.room(), 0);
        thinking.saw(&answered("unseen thoughts"), Room { wanted: 300, least: 100 });
        assert_eq!(thinking.room(), 300);
        let counted = Usage { reasoning: Some(400), ..Usage::default() };
        thinking.saw(&Answer { usage: counted, ..answered("counted") }, Room { wanted: 9000, least: 100 });
        assert_eq!(thinking.room(), 800, "twice what was counted, not what was given");
        thinking.bound(500);
        assert_eq!(thinking.room(), 500);
    }
}
