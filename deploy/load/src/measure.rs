//! Medians, percentiles and the CPU time of processes.
use std::{fs, time::Duration};

use crate::Failure;

/// Clock ticks per second in /proc: 100 on every Linux this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The middle of the numbers.
pub fn median(numbers: &[f64]) -> f64 {
    percentile(numbers, 0.5)
}

/// The number below which `share` (0 to 1) of them lie.
pub fn percentile(numbers: &[f64], share: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the slice")]
    let index = (share * (sorted.len().saturating_sub(1)) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// Milliseconds of a duration.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// CPU seconds that these processes and all their children, living and waited for, have used so far.
pub fn cpu_seconds(pids: &[i32]) -> f64 {
    let mut ticks = 0.0;
    let Ok(entries) = fs::read_dir("/proc") else { return 0.0 };
    for entry in entries.flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(')') else { continue };
        let pid: i32 = head.split(' ').next().and_then(|pid| pid.parse().ok()).unwrap_or(0);
        // After the name: state ppid ... utime stime cutime cstime (fields 14 to 17 of proc(5)).
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let number = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let parent: i32 = fields.get(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        if pids.contains(&pid) {
            ticks += number(11) + number(12) + number(13) + number(14);
        } else if pids.contains(&parent) {
            ticks += number(11) + number(12);
        }
    }
    ticks / TICKS_PER_SECOND
}

/// This process's id.
pub fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(0)
}

/// The memory a process has in use, in MB.
pub fn resident_megabytes(pid: i32) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS in /proc/PID/status")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap_or("0").parse()?;
    Ok(kilobytes / 1024.0)
}
