//! How an error is told (RFC 9457).

use serde::Serialize;
use serde_json::Value;

use super::account::AccountError;
use crate::control;
use crate::control::protocol::ProblemCode;

/// Why a request was not done. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Problem {
    /// The status code of HTTP.
    pub(crate) status: u16,
    /// For programs: `not_found`, `last_server`.
    pub(crate) code: String,
    /// For people: what is wrong.
    pub(crate) title: String,
    /// For people: what to do about it.
    pub(crate) mend: String,
    /// What is wrong with a configuration, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) diagnostics: Vec<Value>,
}

impl Problem {
    pub(crate) fn new(
        status: u16,
        code: &str,
        title: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        let (code, title, mend) = (code.to_owned(), title.into(), mend.into());
        Self { status, code, title, mend, diagnostics: Vec::new() }
    }

    /// Nobody said who he is, or not so that it is believed. The same words for every cause.
    pub(crate) fn no_session() -> Self {
        Self::new(401, "no_session", "you are not logged in", "log in, or send an API token")
    }

    pub(crate) fn not_allowed() -> Self {
        Self::new(403, "not_allowed", "your role may not do this", "ask somebody whose role may")
    }

    pub(crate) fn cross_site() -> Self {
        Self::new(
            403,
            "cross_site",
            "the request does not come from a page of this server",
            "use the pages of this server; programs send an API token instead of a cookie",
        )
    }

    pub(crate) fn stale_password() -> Self {
        Self::new(
            403,
            "confirm_password",
            "this concerns the whole pair: your password is needed again",
            "POST it to /api/v1/session/confirm, then try again",
        )
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "not_found", "there is no such thing", "see /api/v1/openapi.json")
    }

    pub(crate) fn bad_request(title: impl Into<String>) -> Self {
        Self::new(400, "bad_request", title, "see /api/v1/openapi.json for what is expected")
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let title = format!("the body has more than {limit} bytes");
        Self::new(413, "too_large", title, "send less")
    }

    /// A change that does not say what it was made from.
    pub(crate) fn no_base() -> Self {
        let mend = "send the `ETag` of /api/v1/config/raw as `If-Match`";
        Self::new(428, "no_base", "it is not said which file the draft was made from", mend)
    }

    pub(crate) fn throttled(seconds: u64) -> Self {
        let title = format!("too many attempts: try again in {seconds} s");
        Self::new(429, "throttled", title, "wait")
    }

    pub(crate) fn system(error: impl ToString) -> Self {
        let mend = "see the log of `piranha serve`";
        Self::new(500, "system", error.to_string(), mend)
    }

    /// The daemon cannot be asked.
    pub(crate) fn unreachable(error: impl ToString) -> Self {
        let mend = "see that pulse and lvs run and that this user may ask them";
        Self::new(503, "unreachable", error.to_string(), mend)
    }

    /// As JSON, with the member `type` that RFC 9457 asks for.
    pub(crate) fn to_json(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["type"] = "about:blank".into();
        value
    }
}

impl From<control::protocol::Problem> for Problem {
    fn from(problem: control::protocol::Problem) -> Self {
        let status = match problem.code {
            ProblemCode::BadRequest | ProblemCode::UnknownCall => 400,
            ProblemCode::NotAllowed => 403,
            ProblemCode::NoSuchObject => 404,
            ProblemCode::LastServer | ProblemCode::State => 409,
            ProblemCode::Stale => 412,
            ProblemCode::Configuration => 422,
            ProblemCode::Busy => 503,
            ProblemCode::TimedOut => 504,
            _ => 500,
        };
        let code = serde_json::to_value(problem.code).unwrap_or_default();
        Self::new(status, code.as_str().unwrap_or("other"), problem.message, problem.mend)
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let status = match error {
            AccountError::Unknown(..) => 404,
            AccountError::LastAdmin(_) | AccountError::Exists => 409,
            _ => 422,
        };
        Self::new(
            status,
            "account",
            error.to_string(),
            "nothing was changed: mend it and try again",
        )
    }
}
