//! Errors as `application/problem+json` (RFC 9457).

use axum::body::to_bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The media type of a problem.
const MEDIA_TYPE: &str = "application/problem+json";
/// Bytes of an error that are read.
const TEXT_MAX: usize = 4_096;

/// An error that a caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// A constant word for the kind.
    pub code: &'static str,
    /// What is wrong.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// There is no such thing.
    pub fn absent(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// The request makes no sense.
    pub fn unusable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable", detail)
    }

    /// Something of ours or of the machine broke.
    pub fn broken(error: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("about:blank#{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
            "hint": self.hint,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

/// Makes a problem of an error that is none yet: what is wrong with a path, a query or a body is found before we hear of it.
pub async fn in_one_form(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_problem =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|media_type| media_type == MEDIA_TYPE);
    if !is_error || is_problem {
        return response;
    }
    let text = to_bytes(response.into_body(), TEXT_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let detail = if text.is_empty() { "the request cannot be answered" } else { text.as_ref() };
    let code = match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        status if status.is_server_error() => "broken",
        _ => "request",
    };
    Problem::new(status, code, detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    async fn told(response: Response) -> (String, Value) {
        let response = in_one_form(response).await;
        let media_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body(), TEXT_MAX).await.unwrap();
        (media_type, serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn every_error_is_a_problem() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (media_type, problem) =
            runtime.block_on(told((StatusCode::PAYLOAD_TOO_LARGE, "length limit exceeded").into_response()));
        assert_eq!(media_type, MEDIA_TYPE);
        assert_eq!((&problem["status"], &problem["code"]), (&413.into(), &"too_large".into()));
        assert_eq!(problem["detail"], "length limit exceeded");
        let (_, problem) = runtime.block_on(told(StatusCode::BAD_REQUEST.into_response()));
        assert_eq!((&problem["status"], &problem["code"]), (&400.into(), &"request".into()));
        // Ours stay as they are, and what is no error too.
        let (_, problem) = runtime.block_on(told(Problem::absent("task").into_response()));
        assert_eq!(problem["detail"], "there is no such task");
        let (media_type, _) = runtime.block_on(told(axum::Json(json!({})).into_response()));
        assert_eq!(media_type, "application/json");
    }
}
