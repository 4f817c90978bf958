//! The state of a unit's watches between commits: a file beside the table of findings, which the commit names by a mark.
//!
//! ```text
//! watches ──▶ findings/_detectors/<detector>/<job>/<judged to>.state ──▶ commit with the mark `…#state_us`
//! ```
//!
//! A file that no mark names counts for nothing. It is put only where there is none yet: it is the same function of the same
//! windows, whoever computed it. Vacuum passes over names that begin with `_`.

use farol_lake::Table;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};

use crate::definition::Unit;
use crate::error::DetectorError;
use crate::unit::Watches;

/// What state is written as. Another number is another form, and such a file is not read.
const FORM: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Head {
    form: u32,
    fingerprint: u64,
}

fn path(unit: &Unit, judged_us: i64) -> Path {
    let (detector, job) = (&unit.detector, &unit.job);
    Path::from(format!("_detectors/{detector}/{job}/{judged_us}.state"))
}

/// Puts the state of a unit, judged up to a time.
pub(crate) async fn put(
    findings: &Table,
    unit: &Unit,
    judged_us: i64,
    watches: &Watches,
) -> Result<(), DetectorError> {
    let told = |error: postcard::Error| DetectorError::State(error.to_string());
    let head = Head {
        form: FORM,
        fingerprint: unit.fingerprint(),
    };
    let bytes = postcard::to_stdvec(&(head, watches)).map_err(told)?;
    let options = PutOptions::from(PutMode::Create);
    let store = findings.store();
    let put = store
        .put_opts(&path(unit, judged_us), PutPayload::from(bytes), options)
        .await;
    match put {
        Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(DetectorError::State(error.to_string())),
    }
}

/// The state of a unit that was judged up to a time; `None` where it is of another definition or form, or not there:
/// then all is judged again.
pub(crate) async fn get(
    findings: &Table,
    unit: &Unit,
    judged_us: i64,
) -> Result<Option<Watches>, DetectorError> {
    let told = |error: object_store::Error| DetectorError::State(error.to_string());
    let bytes = match findings.store().get(&path(unit, judged_us)).await {
        Ok(found) => found.bytes().await.map_err(told)?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(told(error)),
    };
    let Ok((head, rest)) = postcard::take_from_bytes::<Head>(&bytes) else {
        return Ok(None);
    };
    if head.form != FORM || head.fingerprint != unit.fingerprint() {
        return Ok(None);
    }
    Ok(postcard::from_bytes(rest).ok())
}

/// Deletes state that no mark names any more. That this fails leaves a file behind, and nothing else.
pub(crate) async fn delete(findings: &Table, unit: &Unit, judged_us: i64) {
    if let Err(error) = findings.store().delete(&path(unit, judged_us)).await {
        tracing::debug!(unit = unit.app_id(), "old state stays: {error}");
    }
}
