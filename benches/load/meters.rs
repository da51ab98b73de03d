//! CPU time and memory of processes, from `/proc` (Linux).

use std::collections::{BTreeMap, HashMap};
use std::fs;

use crate::Result;

/// Clock ticks per second of `/proc/*/stat`: 100 on all common Linux systems (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;
/// Maximum number of readings of a process tree.
const MAX_READINGS: u32 = 20;

/// CPU time of a process and all its descendants in seconds, including children that have ended and were waited for.
///
/// The files of a tree are not read at one moment. The time of a child that ends and is waited for during the reading may
/// be in neither of the two places, so that the tree is read until two readings in a row have the same processes.
pub fn cpu_of_tree(root: u32) -> Result<f64> {
    let mut last = read_tree(root)?;
    for _ in 1..MAX_READINGS {
        let next = read_tree(root)?;
        if next.keys().eq(last.keys()) {
            let ticks: u64 = next.values().sum();
            return Ok(f64::from(u32::try_from(ticks)?) / TICKS);
        }
        last = next;
    }
    Err(format!("the processes below {root} changed during each of {MAX_READINGS} readings").into())
}

/// Clock ticks of a process and its descendants, by process id.
fn read_tree(root: u32) -> Result<BTreeMap<u32, u64>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut ticks: HashMap<u32, u64> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // The process may have ended since.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        // Fields after the name: 0 state, 1 parent, 11 and 12 user and system time, 13 and 14 those of ended children.
        children.entry(u32::try_from(number(1))?).or_default().push(pid);
        ticks.insert(pid, (11..=14).map(number).sum());
    }
    let (mut tree, mut left) = (BTreeMap::new(), vec![root]);
    while let Some(pid) = left.pop() {
        if let Some(ticks) = ticks.get(&pid) {
            tree.insert(pid, *ticks);
        }
        left.extend(children.get(&pid).into_iter().flatten());
    }
    Ok(tree)
}

/// CPU time of one process in seconds, without its children.
pub fn cpu_of(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).map(str::parse::<u32>).sum::<Result<_, _>>()?;
    Ok(f64::from(ticks) / TICKS)
}

pub fn parent_of(pid: u32) -> Result<u32> {
    Ok(field_of_status(pid, "PPid:")?.try_into()?)
}

/// Peak memory of a process since [`reset_peak`], in KiB.
pub fn peak_memory(pid: u32) -> Result<u64> {
    field_of_status(pid, "VmHWM:")
}

pub fn reset_peak(pid: u32) -> Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

fn field_of_status(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()).ok_or("no such field in /proc")?;
    Ok(number.parse()?)
}
