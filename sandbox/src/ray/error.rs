//! What can go wrong between here and a Ray head, in words that a user can act on.

use super::http::{HttpError, HttpErrorKind};

/// A question to Ray that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Ray: {doing}: {kind}")]
pub struct RayError {
    doing: String,
    kind: RayErrorKind,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RayErrorKind {
    /// Nobody is there.
    #[error("the head does not answer ({0})")]
    Absent(String),
    /// The head wants a token and got none.
    #[error("the head demands a token")]
    TokenMissing,
    /// The head does not accept the token.
    #[error("the head refuses the token")]
    TokenWrong,
    /// Something answers, but not Ray's job interface.
    #[error("what answers is not Ray's job interface ({0})")]
    NotRay(String),
    /// No such job or package.
    #[error("it is not there")]
    NotFound,
    /// Too large for what the head takes or what is read from it.
    #[error("{0}")]
    TooLarge(String),
    /// The head refuses.
    #[error("{0}")]
    Refused(String),
    /// The head fails; a moment later it may not.
    #[error("{0}")]
    Failing(String),
}

impl RayError {
    pub(super) fn new(doing: impl Into<String>, kind: RayErrorKind) -> Self {
        Self { doing: doing.into(), kind }
    }

    pub(super) fn of(doing: &str, error: HttpError) -> Self {
        let kind = match error.kind {
            HttpErrorKind::Unreachable => RayErrorKind::Absent(error.message),
            HttpErrorKind::Status(401) => RayErrorKind::TokenMissing,
            HttpErrorKind::Status(403) => RayErrorKind::TokenWrong,
            HttpErrorKind::Status(404) => RayErrorKind::NotFound,
            HttpErrorKind::Status(413) | HttpErrorKind::TooLarge => RayErrorKind::TooLarge(error.message),
            HttpErrorKind::WebPage => RayErrorKind::NotRay(error.message),
            HttpErrorKind::Status(500..) => RayErrorKind::Failing(error.message),
            HttpErrorKind::Status(_) | HttpErrorKind::Unusable => RayErrorKind::Refused(error.message),
        };
        Self::new(doing, kind)
    }

    /// Why.
    pub fn kind(&self) -> &RayErrorKind {
        &self.kind
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.kind {
            RayErrorKind::Absent(_) => {
                "start a head with `ray start --head`, or look at --ray-address: it is the dashboard's address, such as http://127.0.0.1:8265"
            }
            RayErrorKind::TokenMissing => {
                "put the cluster's token into RAY_AUTH_TOKEN, or name its file with --ray-token-file or RAY_AUTH_TOKEN_PATH"
            }
            RayErrorKind::TokenWrong => {
                "the token must be that of the cluster: look at RAY_AUTH_TOKEN and --ray-token-file"
            }
            RayErrorKind::NotRay(_) => {
                "--ray-address is the address of Ray's dashboard (port 8265 unless it was moved), without a path"
            }
            RayErrorKind::NotFound => "the head may have been started anew, which forgets jobs and packages",
            RayErrorKind::TooLarge(_) => "a head takes packages up to 100 MiB",
            RayErrorKind::Refused(_) | RayErrorKind::Failing(_) => {
                "the head's own logs (dashboard.log, dashboard_agent.log) say more"
            }
        }
    }
}
