//! Whether the database holds what it must, and making it so again where other rows say what is right. Runs beside the
//! service: everything is looked at in short snapshots, one organization and some rows after the other, and mended in
//! short transactions under the service's own locks.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::domain::OrganizationId;
use crate::store::integrity::Checker;
use crate::store::integrity::checks::{Breach, Breaches, FAMILIES, Family, Mend, Slice, WHOLE};
use crate::store::integrity::repair::{is_miscounted, mend};
use crate::store::{Endpoint, Failure};
use crate::sweeper::KEPT;

/// How many rows are named for each invariant that is broken: enough to begin with, however many there are.
const NAMED: usize = 10;
/// How far the clocks of those who sweep may be ahead of this one.
const SKEW: TimeDelta = TimeDelta::hours(1);

/// What was looked at, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Organizations.
    pub organizations: u64,
    /// Rows of tenants' tables.
    pub rows: u64,
    /// Invariants that do not hold.
    pub broken: Vec<Broken>,
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What should hold.
    pub invariant: &'static str,
    /// Whether [`repair`] may make it hold.
    pub can_be_mended: bool,
    /// How many rows break it.
    pub count: u64,
    /// Some of them.
    pub examples: Vec<Breach>,
}

/// How often something was mended, by the invariant that it broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// What holds again.
    pub invariant: &'static str,
    /// For how many rows.
    pub count: u64,
}

/// Looks at everything. Never wrong about a database in use: each invariant is looked at in one state of it. Where
/// tables are distributed, that is one state of each node, and what seems broken is looked at again, for longer than a
/// transaction may be on its way from one node to another: only what is broken each time is named.
///
/// # Errors
/// The database's.
pub async fn verify(endpoint: impl Into<Endpoint>, now: DateTime<Utc>) -> Result<Report, Failure> {
    let mut walk = Walk::new(endpoint.into(), now, false).await?;
    walk.everywhere().await?;
    Ok(walk.report)
}

/// Looks at everything, and mends what can be mended, each as soon as it is seen.
///
/// # Errors
/// The database's; what was mended by then stays so.
pub async fn repair(endpoint: impl Into<Endpoint>, now: DateTime<Utc>) -> Result<Vec<Mended>, Failure> {
    let mut walk = Walk::new(endpoint.into(), now, true).await?;
    walk.everywhere().await?;
    Ok(walk.mended)
}

struct Walk {
    checker: Checker,
    now: DateTime<Utc>,
    mends: bool,
    report: Report,
    mended: Vec<Mended>,
}

impl Walk {
    async fn new(endpoint: Endpoint, now: DateTime<Utc>, mends: bool) -> Result<Self, Failure> {
        let checker = Checker::connect(&endpoint).await?;
        Ok(Self { checker, now, mends, report: Report::default(), mended: Vec::new() })
    }

    async fn everywhere(&mut self) -> Result<(), Failure> {
        for invariant in WHOLE.into_iter().flatten() {
            loop {
                let found = self.checker.look_at_all(invariant).await?;
                let found = self.exactly(invariant.mend, found).await?;
                let is_all = found.some.len() as u64 == found.total;
                let mended = self.took(invariant.name, invariant.mend, found).await?;
                // What was too much to be listed is listed once there is room for it.
                if is_all || mended == 0 {
                    break;
                }
            }
        }
        let mut after = String::new();
        loop {
            let organizations = self.checker.organizations(&after).await?;
            let Some(last) = organizations.last() else { return Ok(()) };
            last.as_str().clone_into(&mut after);
            for organization_id in organizations {
                for family in FAMILIES {
                    self.through(family, &organization_id).await?;
                }
                self.report.organizations += 1;
            }
        }
    }

    /// What was found, less what is not so: a line that is connected to without pause may seem miscounted at each look
    /// where its count is on one node and the routes are on others. Elsewhere a look is exact.
    async fn exactly(&mut self, mend: Option<Mend>, found: Breaches) -> Result<Breaches, Failure> {
        if mend != Some(Mend::Line) || !self.checker.is_distributed() {
            return Ok(found);
        }
        let mut exact = Breaches::default();
        for breach in found.some {
            if is_miscounted(&mut self.checker, &breach.id).await? {
                exact.some.push(breach);
            }
        }
        exact.total = exact.some.len() as u64;
        Ok(exact)
    }

    async fn through(&mut self, family: &'static Family, owner: &OrganizationId) -> Result<(), Failure> {
        let findable_since = self.now - KEPT + SKEW;
        let mut slice =
            Slice { organization_id: owner.clone(), after: Uuid::nil(), to: Uuid::max(), findable_since };
        loop {
            let look = self.checker.look_at(family, &slice).await?;
            self.report.rows += look.rows;
            for (invariant, found) in look.found {
                self.took(invariant.name, invariant.mend, found).await?;
            }
            let Some(next) = look.next else { return Ok(()) };
            slice.after = next;
        }
    }

    /// Takes in what was found, or mends it; returns how much was mended.
    async fn took(
        &mut self,
        invariant: &'static str,
        mend: Option<Mend>,
        found: Breaches,
    ) -> Result<u64, Failure> {
        if found.total == 0 {
            return Ok(0);
        }
        match mend {
            Some(mend) if self.mends => self.mend(invariant, mend, &found.some).await,
            _ => {
                self.note(invariant, mend.is_some(), found);
                Ok(0)
            }
        }
    }

    fn note(&mut self, invariant: &'static str, can_be_mended: bool, found: Breaches) {
        let broken = &mut self.report.broken;
        let at = broken.iter().position(|broken| broken.invariant == invariant).unwrap_or_else(|| {
            broken.push(Broken { invariant, can_be_mended, count: 0, examples: Vec::new() });
            broken.len() - 1
        });
        let broken = &mut broken[at];
        broken.count += found.total;
        let room = NAMED.saturating_sub(broken.examples.len());
        broken.examples.extend(found.some.into_iter().take(room));
    }

    async fn mend(
        &mut self,
        invariant: &'static str,
        what: Mend,
        breaches: &[Breach],
    ) -> Result<u64, Failure> {
        let mut count = 0;
        for breach in breaches {
            let mended = mend(&mut self.checker, what, breach).await?;
            count += mended;
            // These are mended by the batch, whichever one is named.
            if what == Mend::Forgotten && mended == 0 {
                break;
            }
        }
        match self.mended.iter_mut().find(|mended| mended.invariant == invariant) {
            Some(mended) => mended.count += count,
            None if count > 0 => self.mended.push(Mended { invariant, count }),
            None => {}
        }
        Ok(count)
    }
}
