//! The hunting tables, one a file. `MachineGroup` stands on every streamed record, so tables that
//! lack it when queried carry it as their last, wire-only column.

use crate::Table;

pub mod alert_evidence;
pub mod alert_info;
pub mod device_events;
pub mod device_file_certificate_info;
pub mod device_file_events;
pub mod device_image_load_events;
pub mod device_info;
pub mod device_logon_events;
pub mod device_network_events;
pub mod device_network_info;
pub mod device_process_events;
pub mod device_registry_events;

/// Every table, by id. Written to disk: tables are only ever added at the end.
pub static ALL: &[&Table] = &[
    &device_info::TABLE,
    &device_network_info::TABLE,
    &device_process_events::TABLE,
    &device_file_events::TABLE,
    &device_image_load_events::TABLE,
    &device_network_events::TABLE,
    &device_logon_events::TABLE,
    &device_registry_events::TABLE,
    &device_events::TABLE,
    &device_file_certificate_info::TABLE,
    &alert_info::TABLE,
    &alert_evidence::TABLE,
];

#[cfg(test)]
mod tests {
    #[test]
    fn a_table_stands_at_the_place_its_id_names() {
        for (place, table) in (0u8..).zip(super::ALL) {
            assert_eq!(table.id.0, place, "{}", table.name);
        }
    }
}
