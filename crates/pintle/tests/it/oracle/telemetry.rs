//! What the oracle knows, as telemetry.

use std::fmt::Write as _;

use serde_json::Value;
use uuid::Uuid;

use super::model::{
    Alert, Machine, address, alert_id, domain, machine_id, own_address, person, related_user, seen_address,
    seen_domain, severity, sha1, time, user,
};

/// Telemetry that waits to be sent.
#[derive(Default)]
pub(super) struct Telemetry {
    /// In the envelope of the streaming API.
    pub(super) lines: String,
    /// Alerts as the API gives them: what no table says of them.
    pub(super) alerts: String,
    pub(super) minute: u32,
}

impl Telemetry {
    pub(super) fn line(&mut self, table: &str, properties: Value) {
        let at = time(self.minute);
        let mut properties = properties;
        properties["Timestamp"] = at.as_str().into();
        let line = serde_json::json!({
            "time": at, "tenantId": Uuid::nil(), "operationName": "Publish",
            "category": format!("AdvancedHunting-{table}"), "properties": properties,
        });
        writeln!(self.lines, "{line}").unwrap();
    }

    pub(super) fn machine(&mut self, id: u64, machine: &Machine) {
        let tags = serde_json::to_string(&machine.tags).unwrap();
        let info = serde_json::json!({
            "DeviceId": machine_id(id), "DeviceName": format!("{}.{}", machine.name, machine.domain),
            "OSPlatform": machine.platform, "MachineGroup": machine.source_group, "DeviceManualTags": tags,
        });
        self.line("DeviceInfo", info);
        let addresses = serde_json::json!([{ "IPAddress": own_address(machine.address) }]).to_string();
        let adapter = serde_json::json!({
            "DeviceId": machine_id(id), "NetworkAdapterName": "Ethernet", "IPAddresses": addresses,
        });
        self.line("DeviceNetworkInfo", adapter);
    }

    pub(super) fn sighting(&mut self, file: u64, id: u64) {
        let seen = serde_json::json!({
            "DeviceId": machine_id(id), "ActionType": "FileCreated", "FileName": "a.exe", "FolderPath": "C:\\a.exe",
            "SHA1": sha1(file),
        });
        self.line("DeviceFileEvents", seen);
    }

    /// A domain, an IP address and a user of this number on a machine.
    pub(super) fn observed(&mut self, nth: u64, id: u64) {
        let connection = serde_json::json!({
            "DeviceId": machine_id(id), "ActionType": "ConnectionSuccess", "RemoteIP": seen_address(nth),
            "RemoteUrl": seen_domain(nth),
        });
        self.line("DeviceNetworkEvents", connection);
        let logon = serde_json::json!({
            "DeviceId": machine_id(id), "ActionType": "LogonSuccess", "LogonType": "Network",
            "AccountName": person(nth), "AccountDomain": "CORP",
        });
        self.line("DeviceLogonEvents", logon);
    }

    pub(super) fn alert(&mut self, id: u64, alert: &Alert) {
        let info = serde_json::json!({
            "AlertId": alert_id(id), "Title": "Suspicious tool", "Category": "Execution", "Severity": severity(id),
            "ServiceSource": "Microsoft Defender for Endpoint", "DetectionSource": "EDR",
        });
        self.line("AlertInfo", info);
        let device = alert.machine.map(machine_id);
        if let Some(nth) = related_user(id) {
            let about = serde_json::json!({
                "id": alert_id(id), "machineId": device, "severity": severity(id), "lastUpdateTime": time(self.minute),
                "relatedUser": { "userName": person(nth), "domainName": "CORP" },
            });
            writeln!(self.alerts, "{about}").unwrap();
        }
        if device.is_some() {
            let machine = serde_json::json!({
                "AlertId": alert_id(id), "EntityType": "Machine", "EvidenceRole": "Impacted", "DeviceId": device,
            });
            self.line("AlertEvidence", machine);
        }
        for (kind, column, named) in [
            ("User", "AccountName", user(id)),
            ("Ip", "RemoteIP", address(id)),
            ("Url", "RemoteUrl", format!("https://{}/x", domain(id))),
        ] {
            let evidence = serde_json::json!({
                "AlertId": alert_id(id), "EntityType": kind, "EvidenceRole": "Related", "DeviceId": device,
                column: named,
            });
            self.line("AlertEvidence", evidence);
        }
        for file in &alert.files {
            let evidence = serde_json::json!({
                "AlertId": alert_id(id), "EntityType": "File", "EvidenceRole": "Related", "FileName": "a.exe",
                "SHA1": sha1(*file), "DeviceId": device,
            });
            self.line("AlertEvidence", evidence);
        }
    }
}
