//! Processor time: what a figure costs, whatever else the machine does meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// The kernel counts in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// What this whole process has used.
pub(crate) fn of_process() -> Duration {
    read("/proc/self/stat")
}

/// What a thread of this process has used.
pub(crate) fn of_thread(thread: &str) -> Duration {
    read(&format!("/proc/self/task/{thread}/stat"))
}

/// What the threads of this process have used, by their names.
pub(crate) fn by_name() -> BTreeMap<String, Duration> {
    let mut used = BTreeMap::new();
    for thread in fs::read_dir("/proc/self/task").expect("there is /proc") {
        let folder = thread.expect("it can be listed").path();
        let read = |file: &str| fs::read_to_string(folder.join(file));
        // It may have ended.
        let (Ok(name), Ok(stat)) = (read("comm"), read("stat")) else { continue };
        *used.entry(name.trim_end().to_owned()).or_default() += ticks(&stat);
    }
    used
}

/// The id of the thread that calls.
pub(crate) fn this_thread() -> String {
    let link = fs::read_link("/proc/thread-self").expect("there is /proc");
    link.file_name().expect("it ends in an id").to_string_lossy().into_owned()
}

fn read(path: &str) -> Duration {
    ticks(&fs::read_to_string(path).expect("there is /proc"))
}

fn ticks(stat: &str) -> Duration {
    // The name, in parentheses, may contain blanks.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    TICK * ticks
}
