//! What a batch says of domains, IP addresses and users, and of machines' own addresses.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use pintle_model::{Alert, ColumnId, Evidence, Fact, Facts, Row, TableId, Time, shapes, tables};
use serde_json::Value;

use super::place;
use crate::entity::{Entity, most};
use crate::evidence;
use crate::observable::{self, Domain, Observable, User};
use crate::pair::Pair;
use crate::presence::Presence;

/// SIDs and names of kinds of logon are not longer.
const MAX_TEXT_BYTES: usize = 256;
/// Users in one report, adapters' addresses in one.
const MAX_LISTED: usize = 256;

/// What one batch says. Things are numbered by their place here, machines by theirs in the batch.
#[derive(Default)]
pub(crate) struct Observables {
    /// Domains, IP addresses and users. Of users also what is said of them anywhere.
    pub(crate) things: Vec<(Observable, Entity)>,
    /// By (thing, machine).
    pub(crate) seen: HashMap<(u32, u32), Pair, RandomState>,
    /// By (user, machine).
    pub(crate) logons: HashMap<(u32, u32), Entity, RandomState>,
    /// When a machine had an address.
    pub(crate) addresses: HashMap<(IpAddr, u32), Presence, RandomState>,
}

/// What goes through a batch. Most of it repeats, so texts are read once: the maps go by them as they
/// stand in the rows. They are keyed by what anybody can send, so their hashes are seeded.
#[derive(Default)]
pub(super) struct Noter<'b> {
    observed: Observables,
    numbers: HashMap<Observable, u32, RandomState>,
    /// What the texts in columns of addresses and of URLs are, if anything.
    addresses: HashMap<&'b str, Option<u32>, RandomState>,
    urls: HashMap<&'b str, Option<u32>, RandomState>,
    own_addresses: HashMap<&'b str, Option<IpAddr>, RandomState>,
    /// By name and domain.
    accounts: HashMap<(&'b str, &'b str), Option<u32>, RandomState>,
}

/// Which columns of a table name something.
#[derive(Default)]
struct Columns {
    address: Option<ColumnId>,
    urls: [Option<ColumnId>; 2],
    own_address: Option<ColumnId>,
    /// Name, domain, SID.
    account: Option<[ColumnId; 3]>,
}

impl Columns {
    /// `None`: nothing in it does, or not in a column of its own.
    fn of(table: TableId) -> Option<Columns> {
        use tables::{
            device_events as other, device_file_events as file, device_logon_events as logon,
            device_network_events as network, device_process_events as process,
        };
        Some(if table == network::TABLE.id {
            Columns {
                address: Some(network::REMOTE_IP),
                urls: [Some(network::REMOTE_URL), None],
                own_address: Some(network::LOCAL_IP),
                account: None,
            }
        } else if table == other::TABLE.id {
            Columns {
                address: Some(other::REMOTE_IP),
                urls: [Some(other::REMOTE_URL), Some(other::FILE_ORIGIN_URL)],
                own_address: Some(other::LOCAL_IP),
                account: None,
            }
        } else if table == file::TABLE.id {
            Columns { urls: [Some(file::FILE_ORIGIN_URL), None], ..Columns::default() }
        } else if table == logon::TABLE.id {
            let account = Some([logon::ACCOUNT_NAME, logon::ACCOUNT_DOMAIN, logon::ACCOUNT_SID]);
            Columns { address: Some(logon::REMOTE_IP), account, ..Columns::default() }
        } else if table == process::TABLE.id {
            let account = Some([process::ACCOUNT_NAME, process::ACCOUNT_DOMAIN, process::ACCOUNT_SID]);
            Columns { account, ..Columns::default() }
        } else {
            return None;
        })
    }
}

impl<'b> Noter<'b> {
    /// Notes what a row says; `at` is plausible.
    pub(super) fn row(&mut self, row: &'b Row, machine: Option<u32>, at: Option<Time>) {
        let table = row.table_id();
        if let Some(columns) = Columns::of(table) {
            self.columns(&columns, row, machine, at);
        } else if table == tables::device_info::TABLE.id {
            self.listed_users(row.text(tables::device_info::LOGGED_ON_USERS), machine, at);
        } else if table == tables::device_network_info::TABLE.id {
            self.adapter(row, machine, at);
        } else if table == tables::alert_evidence::TABLE.id {
            self.evidence_row(row, machine, at);
        }
    }

    fn columns(&mut self, columns: &Columns, row: &'b Row, machine: Option<u32>, at: Option<Time>) {
        let text = |column: Option<ColumnId>| row.text(column?);
        if let Some(address) = text(columns.address) {
            let thing = self.address(address);
            self.sighting(thing, machine, at);
        }
        for url in columns.urls.into_iter().filter_map(text) {
            let thing = self.url(url);
            self.sighting(thing, machine, at);
        }
        if let (Some(address), Some(machine), Some(at)) = (text(columns.own_address), machine, at) {
            let own = *self.own_addresses.entry(address).or_insert_with(|| own_address(address));
            self.note_own(own, machine, at);
        }
        if let Some(account) = columns.account {
            self.account(account, row, machine, at);
        }
    }

    /// The user whom a row is about: of a logon one that succeeded.
    fn account(&mut self, columns: [ColumnId; 3], row: &'b Row, machine: Option<u32>, at: Option<Time>) {
        use tables::device_logon_events as logon;
        let is_logon = row.table_id() == logon::TABLE.id;
        if is_logon && row.text(logon::ACTION_TYPE) != Some("LogonSuccess") {
            return;
        }
        let [name, domain, sid] = columns.map(|column| row.text(column));
        let Some(name) = name else { return };
        // The name may be an ordinary one in the system's own language.
        if sid.is_some_and(observable::is_system_sid) {
            return;
        }
        let user = self.user(name, domain.unwrap_or_default());
        let Some(known) = self.logon(user, machine, at) else { return };
        let told = at.unwrap_or(Time::MIN);
        known.facts.note_text(shapes::user::ACCOUNT_SID, told, sid.map(cut));
        if is_logon {
            if let Some(is_admin) = row.bool(logon::IS_LOCAL_ADMIN) {
                known.facts.note(
                    shapes::user::IS_DOMAIN_ADMIN,
                    told,
                    if is_admin { "true" } else { "false" },
                );
            }
            note_kind(known, row.text(logon::LOGON_TYPE));
        }
    }

    /// Users who are logged on when a machine reports, as `[{"UserName":…,"DomainName":…,"Sid":…}]`.
    fn listed_users(&mut self, json: Option<&str>, machine: Option<u32>, at: Option<Time>) {
        let listed = json.and_then(|json| serde_json::from_str::<Vec<Value>>(json).ok()).unwrap_or_default();
        for user in listed.iter().take(MAX_LISTED) {
            let text = |names: [&str; 2]| names.into_iter().find_map(|name| user.get(name)?.as_str());
            let Some(name) = text(["UserName", "accountName"]) else { continue };
            let (domain, sid) = (text(["DomainName", "domainName"]), text(["Sid", "sid"]));
            let user = User::of_account(name, domain, sid).map(|user| self.number(Observable::User(user)));
            if let Some(known) = self.logon(user, machine, at) {
                let told = at.unwrap_or(Time::MIN);
                known.facts.note_text(shapes::user::ACCOUNT_SID, told, sid.map(cut));
            }
        }
    }

    /// The addresses of an adapter, as `[{"IPAddress":…}]`.
    fn adapter(&mut self, row: &Row, machine: Option<u32>, at: Option<Time>) {
        let json = row.text(tables::device_network_info::IP_ADDRESSES);
        let listed = json.and_then(|json| serde_json::from_str::<Vec<Value>>(json).ok()).unwrap_or_default();
        let listed = listed.iter().take(MAX_LISTED);
        let addresses = listed.filter_map(|address| address.get("IPAddress")?.as_str());
        self.own_addresses(addresses, machine, at);
    }

    /// Notes addresses that a machine itself had; `at` is plausible.
    pub(super) fn own_addresses<'a>(
        &mut self,
        addresses: impl Iterator<Item = &'a str>,
        machine: Option<u32>,
        at: Option<Time>,
    ) {
        let (Some(machine), Some(at)) = (machine, at) else { return };
        for address in addresses {
            self.note_own(own_address(address), machine, at);
        }
    }

    /// What a piece of an alert's evidence names.
    fn evidence_row(&mut self, row: &'b Row, machine: Option<u32>, at: Option<Time>) {
        use tables::alert_evidence as e;
        if let Some(url) = row.text(e::REMOTE_URL) {
            let thing = self.url(url);
            self.sighting(thing, machine, at);
        }
        let is_address = row.text(e::ENTITY_TYPE) == Some("Ip");
        let address = row.text(e::REMOTE_IP).or_else(|| row.text(e::LOCAL_IP));
        if let Some(address) = address.filter(|_| is_address) {
            let thing = self.address(address);
            self.sighting(thing, machine, at);
        }
    }

    /// Notes what an alert says.
    pub(super) fn alert(&mut self, alert: &Alert, machine: Option<u32>, at: Option<Time>) {
        for Evidence(facts) in &alert.evidence {
            let text = |facts: &Facts, member| facts.text(member);
            let address = text(facts, shapes::evidence::IP_ADDRESS).and_then(|text| Observable::ip(&text));
            let url = text(facts, shapes::evidence::URL).and_then(|url| named_by(&url));
            for thing in [address, url].into_iter().flatten() {
                let thing = self.number(thing);
                self.sighting(Some(thing), machine, at);
            }
        }
        self.listed_users(alert.facts.json(shapes::alert::LOGGED_ON_USERS), machine, at);
    }

    /// What the batch says.
    pub(super) fn finish(mut self) -> Observables {
        // Users were seen where they were logged on.
        for ((user, machine), logon) in &self.observed.logons {
            let mut seen = Pair::seen(true, None);
            seen.as_target = logon.span;
            seen.any_role = logon.span;
            self.observed.seen.entry((*user, *machine)).or_default().merge(&seen);
            if let Some((_, entity)) = self.observed.things.get_mut(place(*user)) {
                entity.merge(Entity { span: None, ..logon.clone() }, most::LOGON_TYPES);
            }
        }
        self.observed
    }

    fn sighting(&mut self, thing: Option<u32>, machine: Option<u32>, at: Option<Time>) {
        if let (Some(thing), Some(machine)) = (thing, machine) {
            self.observed.seen.entry((thing, machine)).or_default().merge(&Pair::seen(true, at));
        }
    }

    fn note_own(&mut self, address: Option<IpAddr>, machine: u32, at: Time) {
        if let Some(address) = address {
            self.observed.addresses.entry((address, machine)).or_default().note(at);
        }
    }

    /// What is known of a user on a machine, with one more event there.
    fn logon(&mut self, user: Option<u32>, machine: Option<u32>, at: Option<Time>) -> Option<&mut Entity> {
        let known = self.observed.logons.entry((user?, machine?)).or_default();
        known.note_event(at);
        Some(known)
    }

    fn address(&mut self, text: &'b str) -> Option<u32> {
        if let Some(known) = self.addresses.get(text) {
            return *known;
        }
        let is_any = |address: IpAddr| address.is_unspecified();
        let address = observable::address(text).filter(|address| !is_any(*address));
        let thing = address.map(|address| self.number(Observable::Ip(address)));
        self.addresses.insert(text, thing);
        thing
    }

    fn url(&mut self, text: &'b str) -> Option<u32> {
        if let Some(known) = self.urls.get(text) {
            return *known;
        }
        let thing = named_by(text).map(|thing| self.number(thing));
        self.urls.insert(text, thing);
        thing
    }

    fn user(&mut self, name: &'b str, domain: &'b str) -> Option<u32> {
        if let Some(known) = self.accounts.get(&(name, domain)) {
            return *known;
        }
        let user = User::of_account(name, Some(domain), None);
        let user = user.map(|user| self.number(Observable::User(user)));
        self.accounts.insert((name, domain), user);
        user
    }

    fn number(&mut self, thing: Observable) -> u32 {
        if let Some(number) = self.numbers.get(&thing) {
            return *number;
        }
        let number = u32::try_from(self.observed.things.len()).unwrap_or(u32::MAX);
        self.observed.things.push((thing.clone(), Entity::default()));
        self.numbers.insert(thing, number);
        number
    }
}

/// The host of a URL, or the address that stands in its place.
fn named_by(url: &str) -> Option<Observable> {
    let domain = || Domain::of_url(url).map(Observable::Domain);
    domain().or_else(|| Observable::ip(evidence::authority_host(url)?))
}

/// An address by which a machine can be told from others: not where all or many listen, which a sensor may
/// name as the machine's end of what was sent there.
fn own_address(text: &str) -> Option<IpAddr> {
    let is_broadcast = |address: IpAddr| matches!(address, IpAddr::V4(address) if address.is_broadcast());
    observable::address(text).filter(|address| {
        !address.is_unspecified()
            && !address.is_loopback()
            && !address.is_multicast()
            && !is_broadcast(*address)
    })
}

/// Notes a kind of logon; the name of the part is all there is of it.
fn note_kind(user: &mut Entity, kind: Option<&str>) {
    if let Some(kind) = kind.map(cut)
        && !user.parts.contains_key(kind)
    {
        user.note_part(kind.into(), Fact { at: Time::MIN, json: "null".into() }, most::LOGON_TYPES);
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or(text)
}
