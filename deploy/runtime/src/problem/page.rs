//! What the `type` of a problem leads to: `GET /problems/{slug}` of the service that answered with it, made from the catalogue.

use serde::Serialize;
use utoipa::ToSchema;

use super::{CATALOGUE, Kind, Problem};

/// A kind of problem, explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "https://fittrack.dev/problems/not-found", "title": "Not found", "status": 404,
    "meaning": "There is nothing here, or nothing this caller may know of."
}))]
pub struct ProblemPage {
    /// The `type` of its documents.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: &'static str,
    /// Its HTTP status.
    pub status: u16,
    /// What it means and what to do about it.
    pub meaning: &'static str,
}

impl From<&Kind> for ProblemPage {
    fn from(kind: &Kind) -> Self {
        Self { kind: kind.uri(), title: kind.title, status: kind.status, meaning: kind.meaning }
    }
}

/// The page of a kind shared by the services or one of this service's `own`; 404 where there is none of this name.
pub fn page(own: &[Kind], slug: &str) -> Result<ProblemPage, Problem> {
    let kind = CATALOGUE.iter().chain(own).find(|kind| kind.slug == slug);
    kind.map(ProblemPage::from).ok_or_else(|| Problem::not_found("there is no problem type of this name"))
}
