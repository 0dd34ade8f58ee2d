//! The formats, one decoder a file. A decoder is a pure function from one record's bytes to a
//! [`Record`](pintle_model::Record); which decoder an input needs is told from the names in its first records.

mod azure_windowsevent;
mod carbonblack_cloud;
mod carbonblack_sentinel;
mod chainsaw;
mod cisco_secure_endpoint;
mod crowdstrike_fdr;
mod ecs;
mod evtx;
mod graph_alerts;
mod graph_incidents;
mod hayabusa;
mod m365d_incidents;
mod mde_alerts;
mod mde_hunting;
mod mde_machines;
mod mde_raw_csv;
mod mde_streaming;
mod ms_securityalert;
mod ocsf;
mod osquery;
mod sentinelone_cloudfunnel;
mod sentinelone_threats;
mod sysmon_json;
mod sysmon_linux_syslog;
mod wazuh;
mod winlogbeat6;
mod winlogbeat7;

use crate::format::Format;

/// Every format; when several recognise a record, the first does.
pub static FORMATS: &[&Format] = &[
    &mde_streaming::FORMAT,
    &m365d_incidents::FORMAT,
    &graph_incidents::FORMAT,
    &graph_alerts::FORMAT,
    &ms_securityalert::FORMAT,
    &mde_raw_csv::FORMAT,
    &mde_alerts::FORMAT,
    &mde_machines::FORMAT,
    &crowdstrike_fdr::FORMAT,
    &sentinelone_cloudfunnel::FORMAT,
    &sentinelone_threats::FORMAT,
    &carbonblack_cloud::FORMAT,
    &carbonblack_sentinel::FORMAT,
    &cisco_secure_endpoint::FORMAT,
    &winlogbeat7::FORMAT,
    &winlogbeat6::FORMAT,
    &chainsaw::FORMAT,
    &hayabusa::FORMAT,
    &evtx::FORMAT,
    &azure_windowsevent::FORMAT,
    &sysmon_linux_syslog::FORMAT,
    &wazuh::FORMAT,
    &osquery::FORMAT,
    &sysmon_json::FORMAT,
    &ocsf::FORMAT,
    &ecs::FORMAT,
    &mde_hunting::FORMAT,
];

impl Format {
    /// The format of the records of an event log.
    pub(crate) fn of_event_logs() -> &'static Format {
        &evtx::FORMAT
    }
}
