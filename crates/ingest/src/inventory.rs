//! What a record says of a machine itself: its platform in Defender's words, its adapters.

use pintle_model::tables::device_network_info;
use pintle_model::{Record, Time};

use crate::event::Event;
use crate::json;
use crate::machine::Machine;

/// The longest name of a system that is looked at, and the most addresses of one adapter.
const MAX_NAME: usize = 256;
const MAX_ADDRESSES: usize = 64;

/// What systems are called that Defender calls macOS or Linux.
const MACS: &[&str] = &["mac", "osx", "os x", "darwin"];
const LINUXES: &[&str] = &[
    "linux", "lin", "ubuntu", "debian", "centos", "red hat", "rhel", "suse", "fedora", "rocky", "alma",
    "amazon", "oracle",
];

/// Defender's word for the platform that a vendor names: `Windows 10 x64` is `Windows10`. `None` for what
/// names none.
pub fn platform(name: &str) -> Option<String> {
    let name = name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or(name).trim().to_lowercase();
    let is_called = |names: &[&str]| names.iter().any(|word| name.starts_with(word));
    if let Some((_, version)) = name.split_once("windows") {
        return Some(windows(version));
    }
    if name.starts_with("win") {
        Some("Windows".to_owned())
    } else if is_called(MACS) {
        Some("macOS".to_owned())
    } else {
        is_called(LINUXES).then(|| "Linux".to_owned())
    }
}

/// `Windows` with what follows it: ` server 2012 r2 standard`, `10pro`.
fn windows(version: &str) -> String {
    let kind = if version.contains("server") { "Server" } else { "" };
    let is_part = |character: &char| character.is_ascii_digit() || *character == '.';
    let number: String = version.chars().skip_while(|c| !c.is_ascii_digit()).take_while(is_part).collect();
    let release = if kind == "Server" && version.contains("r2") { "R2" } else { "" };
    format!("Windows{kind}{}{release}", number.trim_end_matches('.'))
}

/// An adapter with its addresses; `None` if it has none.
pub fn adapter(
    machine: &Machine<'_>,
    time: Option<Time>,
    name: Option<&str>,
    mac: Option<&str>,
    addresses: impl IntoIterator<Item = impl AsRef<str>>,
) -> Option<Record> {
    let mut list = String::new();
    for address in addresses.into_iter().take(MAX_ADDRESSES) {
        list.push_str(if list.is_empty() { "[{\"IPAddress\":" } else { ",{\"IPAddress\":" });
        json::write_string(&mut list, address.as_ref());
        list.push('}');
    }
    if list.is_empty() {
        return None;
    }
    list.push(']');
    let mut adapter = Event::report(&device_network_info::TABLE, machine, time);
    adapter.set("NetworkAdapterName", name);
    adapter.set("MacAddress", mac);
    adapter.set("IPAddresses", Some(list));
    Some(adapter.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_called_as_defender_does() {
        for (name, called) in [
            ("Windows 10 x64", Some("Windows10")),
            ("Windows10Pro", Some("Windows10")),
            ("Windows 8.1 Pro", Some("Windows8.1")),
            ("Windows Server 2022 x64", Some("WindowsServer2022")),
            ("Microsoft Windows Server 2012 R2 Standard", Some("WindowsServer2012R2")),
            ("WINDOWS", Some("Windows")),
            ("Win", Some("Windows")),
            ("MAC", Some("macOS")),
            ("Darwin 19.6", Some("macOS")),
            ("Lin", Some("Linux")),
            ("Ubuntu 22.04", Some("Linux")),
            ("chromeos", None),
            ("", None),
        ] {
            assert_eq!(platform(name).as_deref(), called, "{name}");
        }
    }
}
