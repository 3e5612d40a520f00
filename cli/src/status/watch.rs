//! `kubectl sluice status --watch`.

use std::convert::Infallible;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use sluice_proto::v1::{ListPoliciesResponse, ListRequest};
use tokio::time::sleep;

use super::{print_tables, structured};
use crate::args::{Connection, Output};
use crate::connect::{Operator, answer, connect};
use crate::output::{print_json_line, print_line, print_structured};

const POLL: Duration = Duration::from_secs(1);
/// Clears the terminal and goes to its top.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Shows the policies whenever something of them changes, until the reader has gone; an operator that cannot be reached is
/// waited for.
///
/// # Errors
/// The first connection fails, or nothing can be printed.
pub async fn watch(connection: &Connection, output: Output) -> anyhow::Result<Infallible> {
    let mut operator = Some(connect(connection).await?);
    let (mut shown, mut lost) = (None, String::new());
    loop {
        match look(connection, &mut operator).await {
            Ok(found) if shown.as_ref() == Some(&found) => {}
            Ok(found) => {
                show(&found, output, shown.is_none())?;
                (shown, lost) = (Some(found), String::new());
            }
            Err(error) => {
                operator = None;
                let words = format!("{error:#}");
                if words != lost {
                    eprintln!("{words}; trying again");
                    lost = words;
                }
            }
        }
        sleep(POLL).await;
    }
}

async fn look(
    connection: &Connection,
    operator: &mut Option<Operator>,
) -> anyhow::Result<ListPoliciesResponse> {
    let operator = match operator {
        Some(operator) => operator,
        None => operator.insert(connect(connection).await?),
    };
    answer(operator.list_policies(ListRequest::default()).await)
}

/// On a terminal in place of what was there; elsewhere one after the other, JSON on a line each.
fn show(found: &ListPoliciesResponse, output: Output, is_first: bool) -> anyhow::Result<()> {
    match output {
        Output::Json => print_json_line(&structured(found))?,
        Output::Yaml => {
            print_line("---")?;
            print_structured(&structured(found), output)?;
        }
        Output::Table | Output::Wide => {
            if io::stdout().is_terminal() {
                io::stdout().write_all(CLEAR.as_bytes())?;
            } else if !is_first {
                print_line("")?;
            }
            print_tables(found, output == Output::Wide)?;
        }
    }
    Ok(io::stdout().flush()?)
}
