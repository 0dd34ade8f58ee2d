//! Users, domains, IP addresses, and machines by their own address.

use pintle_model::shapes::{domain_stats, ip_stats, user};

use super::super::schema::Schema;
use super::super::{Answer, Entry, JSON, Parameter};
use super::options::*;
use crate::http::representation::NDJSON;

const A_USER: Answer =
    Answer { status: 200, about: "The user.", content: &[(JSON, Schema::Single(&user::SHAPE))] };
const USERS: Answer = Answer {
    status: 200,
    about: "The users; none is an empty list.",
    content: &[(JSON, Schema::Rows(&user::SHAPE)), (NDJSON, Schema::Text)],
};

pub(in super::super) static ENTRIES: &[Entry] = &[
    Entry {
        path: "/api/alerts/{id}/user",
        id: "alerts.user",
        summary: "Get the user of an alert",
        meaning: "The user whom the alert is about; who was logged on is no matter.",
        keys: ALERT_ID,
        query: &[SELECT_USERS],
        answers: &[A_USER],
        refusals: &[
            BAD_OPTION,
            (404, "`ResourceNotFound`: no such alert, none that the caller may see, or it is about no user."),
        ],
        ..Entry::GET
    },
    Entry {
        path: "/api/machines/{id}/logonusers",
        id: "machines.logonusers",
        summary: "List the users of a machine",
        meaning: "The users who log on to a machine, or start programs there, by id.",
        keys: MACHINE_ID,
        query: &[TOP, SKIP, SELECT_USERS],
        answers: &[USERS],
        refusals: &[BAD_OPTION, NO_MACHINE],
        ..Entry::GET
    },
    Entry {
        path: "/api/users/{id}",
        id: "users.get",
        summary: "Get a user",
        meaning: "What is known of a user. Of several domains the one in which the user is on the most machines.",
        keys: USER,
        query: &[SELECT_USERS],
        answers: &[A_USER],
        refusals: &[BAD_OPTION, (404, "`ResourceNotFound`: nobody has heard of the user.")],
        ..Entry::GET
    },
    Entry {
        path: "/api/users/{id}/machines",
        id: "users.machines",
        summary: "List the machines of a user",
        meaning: "The machines where users of this name are.",
        keys: USER,
        query: RELATED_MACHINES,
        answers: &[MACHINES],
        refusals: &[BAD_OPTION, UNKNOWN],
        ..Entry::GET
    },
    Entry {
        path: "/api/domains/{id}/machines",
        id: "domains.machines",
        summary: "List the machines that had to do with a domain",
        meaning: "The machines that connected to exactly this host, looked it up or loaded from it.",
        keys: DOMAIN,
        query: RELATED_MACHINES,
        answers: &[MACHINES],
        refusals: &[BAD_DOMAIN, UNKNOWN],
        ..Entry::GET
    },
    Entry {
        path: "/api/domains/{id}/stats",
        id: "domains.stats",
        summary: "Get a domain's statistics",
        meaning: "How common a domain is. The count stands there twice, as text and as a number.",
        keys: DOMAIN,
        query: &[LOOK_BACK_HOURS],
        answers: &[Answer {
            status: 200,
            about: "The statistics.",
            content: &[(JSON, Schema::Whole(&domain_stats::SHAPE))],
        }],
        refusals: &[BAD_DOMAIN, UNKNOWN],
        ..Entry::GET
    },
    Entry {
        path: "/api/ips/{id}/machines",
        id: "ips.machines",
        summary: "List the machines that had to do with an IP address",
        meaning: "The machines with a connection to or from the address.",
        keys: ADDRESS,
        query: RELATED_MACHINES,
        answers: &[MACHINES],
        refusals: &[BAD_ADDRESS, UNKNOWN],
        ..Entry::GET
    },
    Entry {
        path: "/api/ips/{id}/stats",
        id: "ips.stats",
        summary: "Get an IP address's statistics",
        meaning: "How common an address is. The count stands there twice, as text and as a number.",
        keys: ADDRESS,
        query: &[LOOK_BACK_HOURS],
        answers: &[Answer {
            status: 200,
            about: "The statistics.",
            content: &[(JSON, Schema::Whole(&ip_stats::SHAPE))],
        }],
        refusals: &[BAD_ADDRESS, UNKNOWN],
        ..Entry::GET
    },
    Entry {
        path: "/api/machines/findbyip()",
        id: "machines.findbyip",
        summary: "Find machines by an address of their own",
        meaning: "The machines that reported an address as their own within 15 minutes of a moment in the past 30 days: `findbyip(ip='10.0.0.1',timestamp=2026-01-19T10:00:00Z)`.",
        keys: FIND_BY_IP,
        query: RELATED_MACHINES,
        answers: &[MACHINES],
        refusals: &[BAD_ADDRESS],
        ..Entry::GET
    },
    Entry {
        path: "/api/machines/find()",
        id: "machines.find",
        summary: "Find machines by an address, the old way",
        meaning: "The same within 16 minutes; none is a 404: `find(timestamp=2026-01-19T10:00:00Z,key='10.0.0.1')`.",
        keys: FIND,
        query: RELATED_MACHINES,
        answers: &[MACHINES],
        refusals: &[BAD_ADDRESS, (404, "`ResourceNotFound`: no machine had the address then.")],
        ..Entry::GET
    },
];

const FIND_BY_IP: &[Parameter] = &[
    Parameter::key(
        "ip",
        Schema::NamedPattern("ip-address", "^[0-9A-Fa-f:.]+$"),
        "An address of IPv4 or IPv6.",
    ),
    Parameter::key("timestamp", Schema::Named("recent-time"), "The moment, in the past 30 days."),
];
const FIND: &[Parameter] = &[
    Parameter::key("timestamp", Schema::Named("recent-time"), "The moment, in the past 30 days."),
    Parameter::key(
        "key",
        Schema::NamedPattern("ip-address", "^[0-9A-Fa-f:.]+$"),
        "An address of IPv4 or IPv6.",
    ),
];
