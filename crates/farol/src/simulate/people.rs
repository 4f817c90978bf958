//! Who asks: users, their plans and regions, and sessions of several requests.

use std::collections::VecDeque;

use super::{
    catalog::{PLANS, REGIONS, SERVICES},
    dice::Dice,
};

/// A person in conversation with a service.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: String,
    pub user: String,
    pub plan: &'static str,
    pub region: &'static str,
    /// Requests before this one.
    pub turns: u64,
    last_us: i64,
}

/// The conversations that may go on, service by service.
#[derive(Debug)]
pub struct Sessions {
    open: Vec<VecDeque<Session>>,
}

/// Conversations remembered for each service.
const OPEN_MAX: usize = 256;

/// A conversation is over when nothing was asked for so long.
const IDLE_US: i64 = 30 * 60 * 1_000_000;

/// Users there are. A few of them ask much more than the others.
const USERS: f64 = 4_000.0;

impl Sessions {
    /// No conversation yet.
    pub fn new() -> Self {
        Self {
            open: SERVICES.iter().map(|_| VecDeque::new()).collect(),
        }
    }

    /// The session of the next request to a service: half of the time one that is going on.
    pub fn next(&mut self, dice: &mut Dice, service: usize, now_us: i64) -> Session {
        let open = &mut self.open[service];
        open.retain(|session| now_us - session.last_us < IDLE_US);
        if dice.chance(0.5) && !open.is_empty() {
            let at = dice.whole(0, open.len() as u64) as usize;
            open[at].turns += 1;
            open[at].last_us = now_us;
            return open[at].clone();
        }
        let user = (USERS * dice.between(0.0, 1.0).powi(3)) as u64;
        // Plan and region belong to the user, so they follow from the number.
        let mut fixed = Dice::new(user);
        let plan: &&str = fixed.weighted(&PLANS);
        let region: &&str = fixed.weighted(&REGIONS);
        let session = Session {
            id: format!("s-{}", dice.hex(12)),
            user: format!("u-{user:04}"),
            plan,
            region,
            turns: 0,
            last_us: now_us,
        };
        if open.len() == OPEN_MAX {
            open.pop_front();
        }
        open.push_back(session.clone());
        session
    }
}
