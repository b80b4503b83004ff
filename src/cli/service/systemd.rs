//! The systemd user unit. Pure.

use super::Program;

/// The unit of the repository: complete, but for what belongs to a machine.
const TEMPLATE: &str = include_str!("../../../contextd-indexer.service");

/// Its file name.
pub(super) const UNIT: &str = "contextd-indexer.service";

/// Settings with which a service does not start where there are no user namespaces.
const NEED_NAMESPACES: &[&str] = &[
    "PrivateUsers",
    "PrivateDevices",
    "ProtectClock",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "CapabilityBoundingSet",
];

/// Settings that keep a service on its machine.
const ALONE: &[&str] = &["IPAddressDeny", "IPAddressAllow"];

/// The unit for this program; `namespaces` says whether user namespaces can be had. The
/// error names the path that a unit cannot hold.
pub(super) fn unit(program: &Program<'_>, namespaces: bool) -> Result<String, String> {
    let quoted = |text: &str, command: bool| quote(text, command);
    let mut start = Vec::new();
    for argument in program.command()? {
        start.push(quoted(&argument, true));
    }
    let mut text = String::new();
    for line in TEMPLATE.lines() {
        match line.split_once('=').map_or(line, |(key, _)| key) {
            "ExecStart" => text.push_str(&format!("ExecStart={}", start.join(" "))),
            "ReadWritePaths" => {
                let data_dir = super::utf8(program.data_dir)?;
                text.push_str(&format!("ReadWritePaths={}", quoted(data_dir, false)));
            }
            key if ALONE.contains(&key) && program.other_machines => continue,
            key if NEED_NAMESPACES.contains(&key) && !namespaces => continue,
            "TimeoutStartSec" => {
                text.push_str(line);
                for (name, value) in program.environment()? {
                    text.push_str(&format!("\nEnvironment={}", quoted(&format!("{name}={value}"), false)));
                }
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    Ok(text)
}

/// A word as a unit file takes it: specifiers, and in commands variables, mean themselves.
fn quote(text: &str, command: bool) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            '$' if command => quoted.push_str("$$"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=@:+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quoted }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn program(path: &str) -> Program<'_> {
        Program {
            path: Path::new(path),
            data_dir: Path::new("/home/u/.local/share/contextd-indexer"),
            pass_data_dir: false,
            config: None,
            model_dir: None,
            other_machines: false,
        }
    }

    #[test]
    fn only_what_belongs_to_the_machine_differs_from_the_template() {
        let unit = unit(&program("/usr/bin/indexer"), true).unwrap();
        let differ: Vec<(&str, &str)> =
            TEMPLATE.lines().zip(unit.lines()).filter(|(template, unit)| template != unit).collect();
        let expected = [
            ("ExecStart=indexer watch", "ExecStart=/usr/bin/indexer watch"),
            (
                "ReadWritePaths=%h/.local/share/contextd-indexer",
                "ReadWritePaths=/home/u/.local/share/contextd-indexer",
            ),
        ];
        assert_eq!(differ, expected);
        assert_eq!(unit.lines().count(), TEMPLATE.lines().count());
        let without = super::unit(&program("/usr/bin/indexer"), false).unwrap();
        assert_eq!(without.lines().count() + NEED_NAMESPACES.len(), unit.lines().count());
        let program = Program { other_machines: true, ..program("/usr/bin/indexer") };
        let open = super::unit(&program, true).unwrap();
        let left_out: Vec<&str> =
            unit.lines().filter(|line| !open.lines().any(|kept| kept == *line)).collect();
        assert_eq!(left_out, ["IPAddressDeny=any", "IPAddressAllow=localhost"]);
    }

    #[test]
    fn what_was_given_is_passed_on_whatever_its_name() {
        let odd = Path::new("/da ta/%h/$HOME/\"q\\");
        let program = Program {
            data_dir: odd,
            pass_data_dir: true,
            config: Some(Path::new("/c.toml")),
            model_dir: Some(Path::new("/mo dels")),
            ..program("/opt/my apps/indexer")
        };
        let unit = unit(&program, true).unwrap();
        for line in [
            r#"ExecStart="/opt/my apps/indexer" watch --data-dir "/da ta/%%h/$$HOME/\"q\\" --config /c.toml"#,
            r#"ReadWritePaths="/da ta/%%h/$HOME/\"q\\""#,
            r#"Environment="INDEXER_MODEL_DIR=/mo dels""#,
        ] {
            assert!(unit.lines().any(|found| found == line), "{line}\n{unit}");
        }
    }

    #[test]
    fn the_socket_unit_names_the_daemons_socket() {
        let socket = include_str!("../../../contextd-indexer.socket");
        let path = crate::daemon::socket::path(Path::new("%h/.local/share/contextd-indexer"));
        assert!(socket.lines().any(|line| line == format!("ListenStream={}", path.display())), "{socket}");
    }
}
