//! What the commands that list things have in common: a part of a list, as a table or as JSON.

use std::process::ExitCode;

use serde_json::Value;
use serde_json::value::RawValue;

use super::terminal::Table;
use super::{Failure, Place};
use crate::socket::wire;

/// Which part of a list, and how to show it
#[derive(Debug, clap::Args)]
pub struct Listing {
    /// How many to list at most
    #[arg(long, value_name = "N", default_value_t = 1000)]
    top: usize,
    /// How many to leave out at the start
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: usize,
    #[command(flatten)]
    place: Place,
    /// Print a JSON array, each member as the API gives it
    #[arg(long)]
    json: bool,
}

impl Listing {
    /// Asks for the list at `path` and prints it; a table of no rows says `nothing` instead.
    pub(super) async fn show(
        &self,
        path: &str,
        nothing: &str,
        rows: fn(&[Value]) -> Table,
    ) -> Result<ExitCode, Failure> {
        let session = self.place.find().await?;
        let part = wire::Part { tenant: self.place.tenant.clone(), top: self.top, skip: self.skip };
        let list: Box<RawValue> = session.client.get(path, &part).await?;
        session.end().await;
        if self.json {
            super::print(&format!("{list}\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let list: Vec<Value> = serde_json::from_str(list.get())?;
        if list.is_empty() {
            eprintln!("{nothing}");
        } else {
            super::print(&rows(&list).to_string())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
