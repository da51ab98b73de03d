//! Checks every database invariant and repairs derived data. Runs beside the service: each check is a short
//! read-only snapshot of some rows of one organization, each repair a short transaction under the service's
//! own locks.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::domain::{FORMER_FORMS, OrganizationId};
use crate::maintenance::cleanup::DEDUPLICATION_RETENTION;
use crate::store::integrity::Checker;
use crate::store::integrity::checks::{
    GLOBAL_CHECKS, KeyRange, Repair, TENANT_CHECKS, TableChecks, Violation, Violations,
};
use crate::store::integrity::repair::{is_miscounted, repair as repair_violation};
use crate::store::{DatabaseTarget, StoreError};

/// Maximum number of rows that are named per violated invariant.
const MAX_EXAMPLES: usize = 10;
/// How far the clock of a replica that removes expired rows may be ahead of this process's clock.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::hours(1);

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many organizations were checked.
    pub organizations: u64,
    /// How many rows of tenant tables were checked.
    pub rows: u64,
    /// The violated invariants.
    pub violations: Vec<ViolatedInvariant>,
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolatedInvariant {
    /// Its name.
    pub invariant: &'static str,
    /// Whether [`repair`] may restore it.
    pub repairable: bool,
    /// How many rows violate it.
    pub count: u64,
    /// Some of these rows.
    pub examples: Vec<Violation>,
}

/// The repairs of one invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Its name.
    pub invariant: &'static str,
    /// How many rows were repaired.
    pub count: u64,
}

/// Checks all invariants.
///
/// Concurrent writes never cause a false report: each invariant is checked in one snapshot. On a distributed
/// database a snapshot covers one node only, so violations are checked again for longer than a transaction
/// may take to become visible on all nodes, and only those that are found every time are reported.
///
/// # Errors
/// The database's.
pub async fn verify(endpoint: impl Into<DatabaseTarget>, now: DateTime<Utc>) -> Result<Report, StoreError> {
    let mut verifier = Verifier::connect(endpoint.into(), now, false).await?;
    verifier.run().await?;
    Ok(verifier.report)
}

/// Checks all invariants and repairs each repairable violation as soon as it is found.
///
/// # Errors
/// The database's. Repairs that were made before the error remain.
pub async fn repair(
    endpoint: impl Into<DatabaseTarget>,
    now: DateTime<Utc>,
) -> Result<Vec<Repaired>, StoreError> {
    let mut verifier = Verifier::connect(endpoint.into(), now, true).await?;
    verifier.run().await?;
    Ok(verifier.repaired)
}

struct Verifier {
    checker: Checker,
    now: DateTime<Utc>,
    repairs: bool,
    report: Report,
    repaired: Vec<Repaired>,
}

impl Verifier {
    async fn connect(
        endpoint: DatabaseTarget,
        now: DateTime<Utc>,
        repairs: bool,
    ) -> Result<Self, StoreError> {
        let checker = Checker::connect(&endpoint).await?;
        Ok(Self { checker, now, repairs, report: Report::default(), repaired: Vec::new() })
    }

    async fn run(&mut self) -> Result<(), StoreError> {
        self.check_global_tables().await?;
        let mut after = String::new();
        loop {
            let organizations = self.checker.organizations(&after).await?;
            let Some(last) = organizations.last() else { return Ok(()) };
            last.as_str().clone_into(&mut after);
            for organization_id in organizations {
                for table in TENANT_CHECKS {
                    self.check_table(table, &organization_id).await?;
                }
                self.report.organizations += 1;
            }
        }
    }

    async fn check_global_tables(&mut self) -> Result<(), StoreError> {
        for invariant in GLOBAL_CHECKS.into_iter().flatten() {
            // An incomplete list is checked again after a repair, which makes room for the violations not
            // listed yet.
            loop {
                let found = self.checker.check_global(invariant).await?;
                let found = self.confirm(invariant.repair, found).await?;
                let is_complete = found.is_complete();
                let repaired = self.handle(invariant.name, invariant.repair, found).await?;
                if is_complete || repaired == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn check_table(
        &mut self,
        table: &'static TableChecks,
        owner: &OrganizationId,
    ) -> Result<(), StoreError> {
        let findable_since = self.now - DEDUPLICATION_RETENTION + MAX_CLOCK_SKEW;
        let mut range = KeyRange {
            organization_id: owner.clone(),
            after: Uuid::nil(),
            to: Uuid::max(),
            findable_since,
            former_forms: FORMER_FORMS,
        };
        loop {
            let checked = self.checker.check(table, &range).await?;
            self.report.rows += checked.rows;
            for (invariant, found) in checked.violations {
                self.handle(invariant.name, invariant.repair, found).await?;
            }
            let Some(next) = checked.next else { return Ok(()) };
            range.after = next;
        }
    }

    /// Removes false violations of line counts on a distributed database, where the count and the routes are
    /// on different nodes: a line with a steady rate of connects may look miscounted in every snapshot. All
    /// other checks are exact.
    async fn confirm(&mut self, repair: Option<Repair>, found: Violations) -> Result<Violations, StoreError> {
        if repair != Some(Repair::LineCount) || !self.checker.is_distributed() {
            return Ok(found);
        }
        let mut confirmed = Violations::default();
        for violation in found.listed {
            if is_miscounted(&mut self.checker, &violation.id).await? {
                confirmed.listed.push(violation);
            }
        }
        confirmed.total = confirmed.listed.len() as u64;
        Ok(confirmed)
    }

    /// Repairs or reports violations; returns the number of repaired rows.
    async fn handle(
        &mut self,
        invariant: &'static str,
        repair: Option<Repair>,
        found: Violations,
    ) -> Result<u64, StoreError> {
        if found.total == 0 {
            return Ok(0);
        }
        match repair {
            Some(kind) if self.repairs => self.repair(invariant, kind, &found.listed).await,
            _ => {
                self.report(invariant, repair.is_some(), found);
                Ok(0)
            }
        }
    }

    fn report(&mut self, invariant: &'static str, repairable: bool, found: Violations) {
        let violations = &mut self.report.violations;
        let known = violations.iter().position(|violated| violated.invariant == invariant);
        let index = known.unwrap_or_else(|| {
            violations.push(ViolatedInvariant { invariant, repairable, count: 0, examples: Vec::new() });
            violations.len() - 1
        });
        let violated = &mut violations[index];
        violated.count += found.total;
        let room = MAX_EXAMPLES.saturating_sub(violated.examples.len());
        violated.examples.extend(found.listed.into_iter().take(room));
    }

    async fn repair(
        &mut self,
        invariant: &'static str,
        kind: Repair,
        violations: &[Violation],
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        for violation in violations {
            let repaired = repair_violation(&mut self.checker, kind, violation, self.now).await?;
            count += repaired;
            // Orphaned contact history is repaired in batches, so that the first empty batch is the end.
            if kind == Repair::OrphanedContactHistory && repaired == 0 {
                break;
            }
        }
        match self.repaired.iter_mut().find(|repaired| repaired.invariant == invariant) {
            Some(repaired) => repaired.count += count,
            None if count > 0 => self.repaired.push(Repaired { invariant, count }),
            None => {}
        }
        Ok(count)
    }
}
