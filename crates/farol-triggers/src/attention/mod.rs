//! Who is to be disturbed by an alert: a layer over what rules decide.
//!
//! ```text
//! decided by rules ──┐
//! silences ──────────┤
//! acknowledgements ──┼──▶ attend (pure) ──▶ the same actions, annotated, and more ──▶ actions table
//! muted_by, escalate ┤                                                                    │
//! alerts as published┘◀───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Measuring goes on whatever an operator says: the layer changes no state of the lifecycle, except that what is resolved
//! by hand is closed. It annotates a message by the window that it is about, not by the clock, and says an alert again
//! where that changes while the alert fires: muted, unmuted, acknowledged, escalated. What it said is in the `actions`
//! table like everything else; asked again, it says nothing.
//!
//! * [`silence`] and [`acknowledgement`] are what operators say, kept in the lake; `notes` holds them for a service.
//! * [`alert`] is one alert as its messages leave it.
//! * [`replay`](mod@replay) is the layer over history.
//! * [`story`] is what the lake tells of alerts.
//! * `attend` is the layer, with `due` (what is to be said again), `message` and `consequences`; `attending` is what a
//!   service holds of it; `dependencies` the order in which rules are evaluated, so that causes come first.

pub mod acknowledgement;
pub mod alert;
mod attend;
mod attending;
mod consequences;
mod dependencies;
mod due;
mod message;
mod notes;
pub mod replay;
pub mod silence;
pub mod story;
mod table;
#[cfg(test)]
mod tests;

pub use acknowledgement::{Acknowledgement, Acknowledgements, Said};
pub use alert::Alert;
pub(crate) use attending::{Attending, watermark_of};
pub(crate) use dependencies::depths;
use notes::Notes;
pub use silence::{Matchers, Silence};
