//! Arguments of the commands about budgets.

use clap::{Args, Subcommand};

/// `farol budget …`.
#[derive(Debug, Subcommand)]
pub enum BudgetCommand {
    /// List budgets: what is spent of each in the open period, and what is enforced
    List,
    /// Show one budget in full, or who spends it
    Show(BudgetShowArgs),
    /// Say when a budget will be spent, with an interval
    Forecast(BudgetForecastArgs),
}

/// Arguments of `farol budget show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    farol budget show assistant-monthly --by tag.team\n\n\
    With --by, the open period's spend of the budget's scope by the values of a tag or a column. Calls without it are a\n\
    line of their own. Any tag will do: it need not be one of `jobs.tags`.")]
pub struct BudgetShowArgs {
    /// The budget
    pub name: String,
    /// Divide what is spent by a tag (tag.team) or a column (model)
    #[arg(long, value_name = "COLUMN")]
    pub by: Option<String>,
}

/// Arguments of `farol budget forecast`.
#[derive(Debug, Args)]
pub struct BudgetForecastArgs {
    /// The budget
    pub name: String,
}
