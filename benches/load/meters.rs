//! What processes have used so far, as Linux counts it in `/proc`.

use std::collections::HashMap;
use std::fs;

use crate::Result;

/// Clock ticks per second of `/proc/*/stat`: 100 on every Linux that matters (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// Processor time of a process and of what it has started, in seconds: children that live, and those that have ended
/// and been waited for.
pub fn cpu_of_tree(root: u32) -> Result<f64> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut ticks: HashMap<u32, u64> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // A process can be gone by now.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        // After the name: state, parent, … ; user and system time, and those of ended children, are 11 to 14.
        children.entry(u32::try_from(number(1))?).or_default().push(pid);
        ticks.insert(pid, (11..=14).map(number).sum());
    }
    let (mut sum, mut left) = (0, vec![root]);
    while let Some(pid) = left.pop() {
        sum += ticks.get(&pid).copied().unwrap_or(0);
        left.extend(children.get(&pid).into_iter().flatten());
    }
    Ok(f64::from(u32::try_from(sum)?) / TICKS)
}

/// Processor time of one process, in seconds, without what it has started.
pub fn cpu_of(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).map(str::parse::<u32>).sum::<Result<_, _>>()?;
    Ok(f64::from(ticks) / TICKS)
}

/// The parent of a process.
pub fn parent_of(pid: u32) -> Result<u32> {
    Ok(field_of_status(pid, "PPid:")?.try_into()?)
}

/// The most memory that a process had at once since [`forget_peak`], in KiB.
pub fn peak_memory(pid: u32) -> Result<u64> {
    field_of_status(pid, "VmHWM:")
}

/// Starts the count of [`peak_memory`] anew.
pub fn forget_peak(pid: u32) -> Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

fn field_of_status(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()).ok_or("no such field in /proc")?;
    Ok(number.parse()?)
}
