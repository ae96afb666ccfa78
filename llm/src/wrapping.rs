//! What stands around an answer, or was done to it on its way: thoughts before it, escapes of a page or a template.

/// The answer without the thoughts that some models leave before it.
pub fn after_thinking(text: &str) -> &str {
    const ENDS: [&str; 4] = ["</think>", "</thinking>", "</thought>", "</reasoning>"];
    let end = ENDS.iter().filter_map(|end| Some(text.rfind(end)? + end.len())).max();
    // Thoughts that nothing follows are all there is.
    end.map(|end| text[end..].trim()).filter(|rest| !rest.is_empty()).unwrap_or(text)
}

/// The text without the escapes of HTML, if it has them where JSON has its quotes.
pub fn unescaped(text: &str) -> Option<String> {
    let has_quotes = ["&quot;", "&#34;", "&#x22;"].iter().any(|quote| text.contains(quote));
    has_quotes.then(|| {
        let escapes = [
            ("&quot;", "\""),
            ("&#34;", "\""),
            ("&#x22;", "\""),
            ("&#39;", "'"),
            ("&#x27;", "'"),
            ("&apos;", "'"),
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&nbsp;", " "),
            ("&amp;", "&"),
        ];
        escapes.iter().fold(text.to_owned(), |text, (escape, letter)| text.replace(escape, letter))
    })
}

/// The text with single braces, if its braces are doubled as in templates.
pub fn single_braced(text: &str) -> Option<String> {
    let is_doubled = text.contains("{{") && text.contains("}}");
    is_doubled.then(|| text.replace("{{", "{").replace("}}", "}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_freed_of_what_surrounds_it() {
        assert_eq!(after_thinking("<think>a {b}</think>\n{\"c\": 1}"), "{\"c\": 1}");
        assert_eq!(after_thinking("<think>only thoughts</think>"), "<think>only thoughts</think>");
        assert_eq!(after_thinking("none"), "none");
        assert_eq!(unescaped("{&quot;a&quot;: &quot;x &lt; y&quot;}").as_deref(), Some("{\"a\": \"x < y\"}"));
        assert_eq!(unescaped("a &lt; b"), None);
        assert_eq!(single_braced("{{\"a\": [{{\"b\": 1}}]}}").as_deref(), Some("{\"a\": [{\"b\": 1}]}"));
        assert_eq!(single_braced("{\"a\": 1}"), None);
    }
}
