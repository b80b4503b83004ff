//! Whether the machine has time for work that can wait: its load and its battery, as the
//! kernel tells them.

use std::fs;
use std::path::Path;

use crate::config::WatchSettings;

/// Why vectors are not to be computed now; `None` where they are. A machine that does not
/// tell has no such reason.
pub fn reason(settings: &WatchSettings) -> Option<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").ok().and_then(|text| load_of(&text, cores));
    let supplies = Path::new("/sys/class/power_supply");
    from(settings, load, battery(supplies))
}

fn from(settings: &WatchSettings, load: Option<f64>, battery: Option<u8>) -> Option<String> {
    if let (Some(load), Some(most)) = (load, settings.max_load)
        && load > most
    {
        return Some(format!("the load per core is {load:.1}, over watch.max_load = {most}"));
    }
    if let (Some(percent), Some(least)) = (battery, settings.min_battery)
        && percent < least
    {
        return Some(format!("on battery at {percent} %, under watch.min_battery = {least}"));
    }
    None
}

/// Load of one minute for each core.
fn load_of(text: &str, cores: usize) -> Option<f64> {
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(load / cores as f64)
}

/// What is left in percent where the machine runs on battery; the least of several.
fn battery(supplies: &Path) -> Option<u8> {
    let read =
        |path: &Path, name: &str| fs::read_to_string(path.join(name)).ok().map(|text| text.trim().to_owned());
    let mut least = None;
    for supply in fs::read_dir(supplies).ok()?.flatten().map(|entry| entry.path()) {
        match read(&supply, "type").as_deref() {
            Some("Mains" | "USB") if read(&supply, "online").as_deref() == Some("1") => return None,
            // Of a mouse or a headset there are batteries too.
            Some("Battery") if read(&supply, "scope").as_deref() != Some("Device") => {
                let discharging = read(&supply, "status").as_deref() == Some("Discharging");
                let percent = read(&supply, "capacity").and_then(|text| text.parse::<u8>().ok());
                if let Some(percent) = percent.filter(|_| discharging) {
                    least = Some(least.map_or(percent, |least: u8| least.min(percent)));
                }
            }
            _ => {}
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn settings(max_load: Option<f64>, min_battery: Option<u8>) -> WatchSettings {
        WatchSettings {
            events: true,
            poll: Duration::from_secs(1),
            poll_unwatched: Duration::from_secs(1),
            max_watches: None,
            keep: Duration::ZERO,
            max_load,
            min_battery,
            unload: None,
        }
    }

    #[test]
    fn limits() {
        let cases = [
            (Some(2.0), Some(30), Some(1.9), Some(30), false),
            (Some(2.0), Some(30), Some(2.1), None, true),
            (Some(2.0), Some(30), None, Some(29), true),
            (None, None, Some(99.0), Some(1), false),
        ];
        for (most, least, load, battery, paused) in cases {
            assert_eq!(from(&settings(most, least), load, battery).is_some(), paused, "{load:?} {battery:?}");
        }
        assert_eq!(load_of("3.00 2.1 1.9 2/345 678\n", 2), Some(1.5));
        assert_eq!(load_of("", 2), None);
    }

    #[test]
    fn batteries() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let write = |supply: &str, file: &str, text: &str| {
            fs::create_dir_all(root.path().join(supply)).expect("created");
            fs::write(root.path().join(supply).join(file), text).expect("written");
        };
        assert_eq!(battery(&root.path().join("none")), None);
        for (file, text) in [("type", "Battery\n"), ("status", "Discharging\n"), ("capacity", "41\n")] {
            write("BAT0", file, text);
        }
        for (file, text) in
            [("type", "Battery\n"), ("scope", "Device\n"), ("status", "Discharging\n"), ("capacity", "3\n")]
        {
            write("hidpp", file, text);
        }
        assert_eq!(battery(root.path()), Some(41));
        write("AC", "type", "Mains\n");
        write("AC", "online", "1\n");
        assert_eq!(battery(root.path()), None);
        write("AC", "online", "0\n");
        assert_eq!(battery(root.path()), Some(41));
    }
}
