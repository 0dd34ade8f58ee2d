//! Alerts by what they have to do with.

use super::super::schema::Schema;
use super::super::{Answer, Entry};
use super::options::*;

pub(in super::super) static ENTRIES: &[Entry] = &[
    Entry {
        path: "/api/machines/{id}/alerts",
        id: "machines.alerts",
        summary: "List the alerts on a machine",
        meaning: "The alerts on a machine, always with their evidence.",
        keys: MACHINE_ID,
        query: ALERT_LIST,
        answers: &[ALERTS],
        refusals: &[BUSY, BAD_OPTION, NO_MACHINE],
        ..Entry::GET
    },
    Entry {
        path: "/api/machines/{id}/alerts/$count",
        id: "machines.alerts.count",
        summary: "Count the alerts on a machine",
        meaning: "How many alerts are on a machine, or pass `$filter`.",
        keys: MACHINE_ID,
        query: ALERT_FILTER,
        answers: &[Answer {
            status: 200,
            about: "The number alone.",
            content: &[("text/plain", Schema::Text)],
        }],
        refusals: &[BUSY, BAD_OPTION, NO_MACHINE],
        ..Entry::GET
    },
    Entry {
        path: "/api/files/{id}/alerts",
        id: "files.alerts",
        summary: "List the alerts that name a file",
        meaning: "The alerts whose evidence names the file, by this hash or by others that can only mean the same file. When a conflict between hashes kept alerts out, the headers `Pintle-Incomplete` and `Pintle-Ask-Instead` say so.",
        keys: HASH,
        query: ALERT_LIST,
        answers: &[ALERTS],
        refusals: &[BUSY, BAD_HASH, UNKNOWN],
        ..Entry::GET
    },
    Entry {
        path: "/api/domains/{id}/alerts",
        id: "domains.alerts",
        summary: "List the alerts that name a domain",
        meaning: "The alerts whose evidence names exactly this host.",
        keys: DOMAIN,
        query: ALERT_LIST,
        answers: &[ALERTS],
        refusals: &[BUSY, BAD_DOMAIN, UNKNOWN],
        ..Entry::GET
    },
    Entry {
        path: "/api/ips/{id}/alerts",
        id: "ips.alerts",
        summary: "List the alerts that name an IP address",
        meaning: "The alerts whose evidence names the address.",
        keys: ADDRESS,
        query: ALERT_LIST,
        answers: &[ALERTS],
        refusals: &[BUSY, BAD_ADDRESS, UNKNOWN],
        ..Entry::GET
    },
    Entry {
        path: "/api/users/{id}/alerts",
        id: "users.alerts",
        summary: "List the alerts that name a user",
        meaning: "The alerts whose evidence names an account of this name, or that are about it.",
        keys: USER,
        query: ALERT_LIST,
        answers: &[ALERTS],
        refusals: &[BUSY, BAD_OPTION, UNKNOWN],
        ..Entry::GET
    },
];
