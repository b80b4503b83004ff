//! The launchd agent of macOS. Pure.

use super::Program;

/// Name of the agent.
pub(super) const LABEL: &str = "contextd-indexer";

/// The property list for this program. The error names the path that it cannot hold.
pub(super) fn plist(program: &Program<'_>) -> Result<String, String> {
    let string = |text: &str| format!("<string>{}</string>", escape(text));
    let arguments: Vec<String> =
        program.command()?.iter().map(|argument| format!("    {}\n", string(argument))).collect();
    let environment: Vec<String> = program
        .environment()?
        .iter()
        .map(|(name, value)| format!("    <key>{name}</key>{}\n", string(value)))
        .collect();
    let log = program.data_dir.join("run/daemon.log");
    Ok(format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>{label}
  <key>ProgramArguments</key>
  <array>
{arguments}  </array>
  <key>EnvironmentVariables</key>
  <dict>
{environment}  </dict>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ThrottleInterval</key><integer>60</integer>
  <key>ExitTimeOut</key><integer>10</integer>
  <key>ProcessType</key><string>Background</string>
  <key>LowPriorityIO</key><true/>
  <key>Nice</key><integer>10</integer>
  <key>Umask</key><integer>63</integer>
  <key>SoftResourceLimits</key><dict><key>NumberOfFiles</key><integer>65536</integer></dict>
  <key>StandardErrorPath</key>{log}
</dict>
</plist>
"#,
        label = string(LABEL),
        arguments = arguments.concat(),
        environment = environment.concat(),
        log = string(super::utf8(&log)?),
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn arguments_and_names_are_escaped() {
        let program = Program {
            path: Path::new("/opt/a & b/indexer"),
            data_dir: Path::new("/<data>"),
            pass_data_dir: true,
            config: None,
            model_dir: Some(Path::new("/models")),
            other_machines: false,
        };
        let plist = plist(&program).unwrap();
        for line in [
            "    <string>/opt/a &amp; b/indexer</string>",
            "    <string>watch</string>",
            "    <string>--data-dir</string>",
            "    <string>/&lt;data&gt;</string>",
            "    <key>INDEXER_MODEL_DIR</key><string>/models</string>",
            "  <key>StandardErrorPath</key><string>/&lt;data&gt;/run/daemon.log</string>",
        ] {
            assert!(plist.lines().any(|found| found == line), "{line}\n{plist}");
        }
        for tag in ["dict", "array", "plist"] {
            let count = |what: &str| plist.matches(what).count();
            assert_eq!(count(&format!("<{tag}>")) + count(&format!("<{tag} ")), count(&format!("</{tag}>")));
        }
    }
}
