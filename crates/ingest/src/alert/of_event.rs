//! What an event names, as evidence of the alert about it.

use pintle_model::shapes::evidence;
use pintle_model::{Hashes, Row, Time, tables};

use super::{Draft, Piece};
use crate::event::Role;

impl Draft {
    /// Adds as evidence what an event on the alert's machine names: its file or process, the program
    /// behind it, the far end of a connection, a registry key, a user.
    pub fn evidence_of(&mut self, event: &Row) {
        let event = Named(event);
        if event.0.table_id() == tables::device_process_events::TABLE.id {
            let mut process = event.process(self, Role::Target);
            process.text(evidence::PARENT_PROCESS_FILE_NAME, event.text("InitiatingProcessFileName"));
            process.text(evidence::PARENT_PROCESS_FILE_PATH, event.text("InitiatingProcessFolderPath"));
            process.number(evidence::PARENT_PROCESS_ID, event.number("InitiatingProcessId"));
            process.time(evidence::PARENT_PROCESS_CREATION_TIME, event.time("InitiatingProcessCreationTime"));
            return;
        }
        event.file(&mut self.evidence("File"), Role::Target);
        event.process(self, Role::Initiating);
        self.evidence("Ip").text(evidence::IP_ADDRESS, event.text("RemoteIP"));
        self.evidence("Url").text(evidence::URL, event.text("RemoteUrl"));
        event.registry(self);
        event.account(&mut self.evidence("User"), Role::Target);
    }
}

/// An event whose columns go by their names, whatever its table.
struct Named<'r>(&'r Row);

impl<'r> Named<'r> {
    fn text(&self, column: &str) -> Option<&'r str> {
        self.0.text(self.0.table()?.column(column)?.0)
    }

    fn number(&self, column: &str) -> Option<i64> {
        self.0.long(self.0.table()?.column(column)?.0)
    }

    fn time(&self, column: &str) -> Option<Time> {
        self.0.time(self.0.table()?.column(column)?.0)
    }

    fn file(&self, piece: &mut Piece<'_>, role: Role) {
        let text = |column| self.text(&format!("{}{column}", role.prefix()));
        piece.file(&Hashes::read(text("SHA1"), text("SHA256"), None), text("FolderPath"));
        piece.text(evidence::FILE_NAME, text("FileName"));
    }

    /// Adds the process in a role.
    fn process<'d>(&self, alert: &'d mut Draft, role: Role) -> Piece<'d> {
        let prefix = role.prefix();
        // The columns of a process that began are its own, but for its program's.
        let own = if prefix.is_empty() { "Process" } else { prefix };
        let mut process = alert.evidence("Process");
        self.file(&mut process, role);
        process.number(evidence::PROCESS_ID, self.number(&format!("{own}Id")));
        process.text(evidence::PROCESS_COMMAND_LINE, self.text(&format!("{own}CommandLine")));
        process.time(evidence::PROCESS_CREATION_TIME, self.time(&format!("{own}CreationTime")));
        self.account(&mut process, role);
        process
    }

    fn account(&self, piece: &mut Piece<'_>, role: Role) {
        for (member, column) in [
            (evidence::ACCOUNT_NAME, "AccountName"),
            (evidence::DOMAIN_NAME, "AccountDomain"),
            (evidence::USER_SID, "AccountSid"),
        ] {
            piece.text(member, self.text(&format!("{}{column}", role.prefix())));
        }
    }

    /// Adds the registry key. Defender writes the hive apart.
    fn registry(&self, alert: &mut Draft) {
        let key = self.text("RegistryKey");
        let (hive, key) = match key.and_then(|key| key.split_once('\\')) {
            Some((hive, rest)) if hive.starts_with("HKEY_") => (Some(hive), Some(rest)),
            _ => (None, key),
        };
        let mut registry = alert.evidence("Registry");
        registry.text(evidence::REGISTRY_HIVE, hive).text(evidence::REGISTRY_KEY, key);
        registry.text(evidence::REGISTRY_VALUE_NAME, self.text("RegistryValueName"));
        registry.text(evidence::REGISTRY_VALUE, self.text("RegistryValueData"));
        registry.text(evidence::REGISTRY_VALUE_TYPE, self.text("RegistryValueType"));
    }
}
