//! Which part of a list is asked for.

use serde::Deserialize;

use crate::problem::{HttpProblem, Kind};

/// The most entries of a page.
const LIMIT_MAX: u32 = 1000;
const LIMIT_USUAL: u32 = 100;

/// A part of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// At most so many; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
}

impl Page {
    /// Limit and offset, within their bounds.
    pub(crate) fn checked(&self) -> Result<(u32, u32), HttpProblem> {
        let limit = self.limit.unwrap_or(LIMIT_USUAL);
        if (1..=LIMIT_MAX).contains(&limit) {
            return Ok((limit, self.offset.unwrap_or(0)));
        }
        let detail = format!("limit has to be 1 to {LIMIT_MAX}, not {limit}");
        Err(HttpProblem::new(Kind::Unprocessable, detail))
    }
}
