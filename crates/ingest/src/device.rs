//! A machine as Defender's incident APIs describe it, the older one and Graph: a row of `DeviceInfo`.

use pintle_model::shapes::alert;
use pintle_model::{Record, Time, tables};

use crate::alert::Draft;
use crate::event::Event;
use crate::json::{Json, Object};
use crate::machine::Machine;
use crate::words;

/// Members that a column takes as they are.
const COLUMNS: &[(&str, &str)] = &[
    ("osPlatform", "OSPlatform"),
    ("osBuild", "OSBuild"),
    ("version", "OSVersionInfo"),
    ("aadDeviceId", "AadDeviceId"),
    ("azureAdDeviceId", "AadDeviceId"),
    ("rbacGroupName", "MachineGroup"),
    ("lastExternalIpAddress", "PublicIP"),
];

/// Members that hold one of the API's words.
const WORDS: &[(&str, &str)] =
    &[("healthStatus", "SensorHealthState"), ("onboardingStatus", "OnboardingStatus")];

/// Members that hold a list, which a column takes as JSON.
const LISTS: &[(&str, &str)] = &[("loggedOnUsers", "LoggedOnUsers"), ("tags", "DeviceManualTags")];

/// Members of `vmMetadata` of a machine in Azure.
const VM: &[(&str, &str)] =
    &[("vmId", "AzureVmId"), ("resourceId", "AzureResourceId"), ("subscriptionId", "AzureVmSubscriptionId")];

/// What says nothing of the machine itself: its id and name, which the row has, and what Graph says of any
/// piece of evidence.
const NOT_OF_THE_MACHINE: &[&str] = &[
    "@odata.type",
    "createdDateTime",
    "detailedRoles",
    "deviceDnsName",
    "mdatpDeviceId",
    "mdeDeviceId",
    "remediationStatus",
    "remediationStatusDetails",
    "roles",
    "verdict",
];

/// What `device` says of `machine`, as of `time`.
pub fn info(device: &Object<'_>, machine: &Machine<'_>, time: Option<Time>) -> Record {
    // A report is no event of any kind.
    let mut row = Event::new(&tables::device_info::TABLE, machine, time, "");
    for (name, value) in &device.members {
        let column =
            |of: &[(&str, &'static str)]| of.iter().find(|(member, _)| member == name).map(|of| of.1);
        if let Some(column) = column(COLUMNS) {
            row.set(column, value.text());
        } else if let Some(column) = column(WORDS) {
            row.set(column, value.text().and_then(|word| words::of_api(&word)));
        } else if let Some(column) = column(LISTS) {
            row.set(column, listed(*value));
        } else if let Some(vm) = value.object().filter(|vm| name == "vmMetadata" && is_azure(vm)) {
            for (member, column) in VM {
                row.set(column, vm.get(member).and_then(Json::text));
            }
        } else if !NOT_OF_THE_MACHINE.contains(&&**name) {
            row.additional(name, *value);
        }
    }
    row.finish()
}

/// What a device says of the alert that is on it.
pub fn of_alert(device: &Object<'_>, draft: &mut Draft) {
    for (name, member) in
        [("rbacGroupName", alert::RBAC_GROUP_NAME), ("loggedOnUsers", alert::LOGGED_ON_USERS)]
    {
        if let Some(value) = device.get(name) {
            draft.member(member, value);
        }
    }
}

/// A list with something in it, as JSON.
fn listed(value: Json<'_>) -> Option<String> {
    let mut json = String::new();
    value.write(&mut json);
    (json.starts_with('[') && json != "[]").then_some(json)
}

fn is_azure(vm: &Object<'_>) -> bool {
    vm.get("cloudProvider")
        .and_then(Json::text)
        .is_some_and(|provider| provider.eq_ignore_ascii_case("azure"))
}
