//! Metrics of the process itself, under the names that Prometheus' clients have for them; from `/proc`, where there is
//! one.

use super::page::{MetricLabels, MetricsPage};
use std::{fmt, fs};

/// Ticks in a second of processor time in `/proc`: the kernel tells users 100 everywhere (`USER_HZ`).
const TICKS: f64 = 100.0;
/// Octets of a page of memory, as far as the kernel says nothing else here.
const KIB: f64 = 1024.0;

/// Writes what the system tells; `started` is in seconds since 1970.
pub(super) fn write(page: &mut MetricsPage<'_>, started: f64) -> fmt::Result {
    let one = |number: Option<f64>| number.map(|number| (MetricLabels::new(), number));
    page.gauge(
        "process_start_time_seconds",
        "When the server was started, in seconds since 1970.",
        one(Some(started)),
    )?;
    page.counter("process_cpu_seconds", "Processor time used.", one(processor_time()))?;
    let memory = |key: &str| field(&fs::read_to_string("/proc/self/status").ok()?, key).map(|kib| kib * KIB);
    page.gauge("process_resident_memory_bytes", "Memory in use.", one(memory("VmRSS:")))?;
    page.gauge("process_virtual_memory_bytes", "Address space in use.", one(memory("VmSize:")))?;
    let open = fs::read_dir("/proc/self/fd").map(|all| all.count() as f64).ok();
    page.gauge("process_open_fds", "Open file descriptors.", one(open))?;
    let most = || field(&fs::read_to_string("/proc/self/limits").ok()?, "Max open files");
    page.gauge("process_max_fds", "Most file descriptors that may be open.", one(most()))?;
    let threads = || field(&fs::read_to_string("/proc/self/status").ok()?, "Threads:");
    page.gauge("process_threads", "Threads of the process.", one(threads()))
}

/// The first number after `key` at the beginning of a line.
fn field(text: &str, key: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// User and system time; the command's name before them may hold anything but ends in the last parenthesis.
fn processor_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((fields.next()?.ok()? + fields.next()?.ok()?) / TICKS)
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells() {
        let status = "Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t7\n";
        assert_eq!(super::field(status, "VmRSS:"), Some(1234.0));
        assert_eq!(super::field(status, "VmSize:"), None);
        assert!(super::processor_time().is_some());
    }
}
