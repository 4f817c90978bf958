//! `farol docs`: the data dictionary, from the definitions that are in effect.
//!
//! ```text
//! tables, views, jobs, functions, detectors, rules ──▶ Catalog ──▶ Markdown or JSON
//! ```

mod catalog;
mod markdown;
mod object;

use crate::cli::{DocsArgs, DocsFormat};
use crate::context::Context;
use crate::exit::Exit;
use crate::output;

use catalog::Catalog;

/// Runs `farol docs`.
pub async fn run(context: &Context, arguments: &DocsArgs) -> anyhow::Result<Exit> {
    let (jobs, rules) = context.pipelines().await?;
    let detectors = context.detectors(&jobs)?;
    let mut catalog = Catalog::of(&jobs, &detectors, &rules).await?;
    if !arguments.names.is_empty() {
        catalog = catalog.only(&arguments.names)?;
    }
    let default = if context.json {
        DocsFormat::Json
    } else {
        DocsFormat::Markdown
    };
    match arguments.format.unwrap_or(default) {
        DocsFormat::Markdown if arguments.names.is_empty() => {
            output::line(markdown::page(&catalog).trim_end())?;
        }
        DocsFormat::Markdown => output::line(markdown::sections(&catalog).trim())?,
        DocsFormat::Json => output::json(&object::of(&catalog))?,
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::context::{load_detectors, load_jobs, load_rules};

    async fn shipped() -> Catalog {
        let mut config = Config::default();
        config.pipelines.dir = "/nowhere".into();
        let jobs = load_jobs(&config).await.unwrap();
        let rules = load_rules(&config, &jobs).unwrap();
        let detectors = load_detectors(&config, &jobs).unwrap();
        Catalog::of(&jobs, &detectors, &rules).await.unwrap()
    }

    #[tokio::test]
    async fn the_page_in_docs_is_that_of_the_definitions() {
        let page = markdown::page(&shipped().await);
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dictionary.md");
        if std::env::var_os("FAROL_WRITE_DOCS").is_some() {
            std::fs::write(&place, &page).unwrap();
        }
        let written = std::fs::read_to_string(&place).unwrap_or_default();
        let differs = page
            .lines()
            .zip(written.lines())
            .enumerate()
            .find(|(_, (new, old))| new != old);
        assert!(
            page == written,
            "docs/dictionary.md is out of date ({differs:?}): write it with `farol docs > docs/dictionary.md`, or run \
             this test with FAROL_WRITE_DOCS=1"
        );
    }

    #[tokio::test]
    async fn one_name_is_one_section_and_a_wrong_one_is_corrected() {
        let only = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            async move { shipped().await.only(&names) }
        };
        let sessions = only(&["sessions"]).await.unwrap();
        let text = markdown::sections(&sessions);
        assert!(text.contains("### sessions"), "{text}");
        assert!(!text.contains("### models"), "{text}");
        let told = object::of(&only(&["spend", "quantile"]).await.unwrap());
        assert_eq!(told["jobs"][0]["name"], "spend");
        assert_eq!(told["functions"][0]["name"], "quantile");
        assert_eq!(told["tables"].as_array().map(Vec::len), Some(0));
        let error = only(&["sesions"]).await.unwrap_err().to_string();
        assert!(error.contains("did you mean `sessions`?"), "{error}");
    }
}
