//! The results of a run: a table for people, and a file for comparisons.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;

/// One round of one scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Round {
    pub per_second: f64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
    /// CPU seconds per 1,000 calls.
    pub service_cpu: f64,
    pub postgres_cpu: f64,
    /// CPU time of the load generator, which shares the machine.
    pub callers_cpu: f64,
    pub pgbench_per_second: f64,
    /// CPU seconds of PostgreSQL per 1,000 transactions of pgbench: the minimum for the statement.
    pub pgbench_cpu: f64,
    /// Peak memory of the service during the round.
    pub peak_kib: u64,
}

/// A run: the rounds of each scenario, ordered by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The settings of the run, as text.
    pub settings: String,
    #[serde(alias = "scenes")]
    pub scenarios: BTreeMap<String, Vec<Round>>,
}

/// Minimum and maximum of a figure over the rounds.
fn range(rounds: &[Round], figure: impl Fn(&Round) -> f64, digits: usize) -> String {
    let figures: Vec<f64> = rounds.iter().map(figure).collect();
    let low = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let high = figures.iter().copied().fold(0.0, f64::max);
    if rounds.len() == 1 { format!("{low:.digits$}") } else { format!("{low:.digits$}..{high:.digits$}") }
}

fn mean(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    rounds.iter().map(figure).sum::<f64>() / crate::drive::count(rounds.len())
}

impl Report {
    /// The table, in Markdown.
    pub fn table(&self) -> String {
        let mut lines = vec![
            self.settings.clone(),
            String::new(),
            "| scenario | calls/s | of pgbench | p50 ms | p99 ms | CPU s/1,000: service | PostgreSQL | both \
             | PostgreSQL, pgbench | callers | peak MiB |"
                .to_owned(),
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |".to_owned(),
        ];
        for (name, rounds) in &self.scenarios {
            let peak = rounds.iter().map(|round| round.peak_kib).max().unwrap_or_default() / 1_024;
            lines.push(format!(
                "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {peak} |",
                range(rounds, |round| round.per_second, 0),
                range(rounds, |round| round.per_second / round.pgbench_per_second, 2),
                range(rounds, |round| round.p50, 1),
                range(rounds, |round| round.p99, 1),
                range(rounds, |round| round.service_cpu, 3),
                range(rounds, |round| round.postgres_cpu, 3),
                range(rounds, |round| round.service_cpu + round.postgres_cpu, 3),
                range(rounds, |round| round.pgbench_cpu, 3),
                range(rounds, |round| round.callers_cpu, 3),
            ));
        }
        lines.join("\n")
    }

    /// The means of two runs side by side, with the ratio of the second to the first.
    pub fn comparison(&self, later: &Self) -> String {
        let mut lines = vec![
            format!("first:  {}\nsecond: {}\n", self.settings, later.settings),
            "| scenario | of pgbench: first | second | ratio | CPU s/1,000: first | second | ratio |"
                .to_owned(),
            "| --- | --- | --- | --- | --- | --- | --- |".to_owned(),
        ];
        for (name, first) in &self.scenarios {
            let Some(second) = later.scenarios.get(name) else { continue };
            let share = |round: &Round| round.per_second / round.pgbench_per_second;
            let cpu = |round: &Round| round.service_cpu + round.postgres_cpu;
            let (share_1, share_2) = (mean(first, share), mean(second, share));
            let (cpu_1, cpu_2) = (mean(first, cpu), mean(second, cpu));
            lines.push(format!(
                "| {name} | {share_1:.2} | {share_2:.2} | {:.2} | {cpu_1:.3} | {cpu_2:.3} | {:.2} |",
                share_2 / share_1,
                cpu_2 / cpu_1,
            ));
        }
        lines.join("\n")
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        Ok(std::fs::write(file, serde_json::to_vec_pretty(self)?)?)
    }

    pub fn read(file: &Path) -> Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(file)?)?)
    }
}
