//! Lists of alerts: all of a tenant, and those that have to do with a machine, a file, a domain, an
//! address or a user. Which rows they have is settled from the columns of the index where these tell;
//! an alert is read only where they do not, and when its turn comes to be written.

mod shown;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::vec::IntoIter;

use bytes::Bytes;
use pintle_model::{AlertId, FileHash, Hashes, MemberId, TenantId, Time, shapes};

use super::alerts::AlertSight;
use crate::alert_index::{self, AlertIndex, Row};
use crate::entity::Entity;
use crate::evidence::Named;
use crate::filter::{self, Columns, Subject};
use crate::known::Known;
use crate::listing::{About, Ranked, Rows, Value, settle};
use crate::render::{self, AlertMachine, Extras};
use crate::retention::Cutoffs;
use crate::store::{Store, read_lock};
use crate::{Domain, Error, FileMachines, Listing, Observable, Page, Scope, UserName};
use shown::{Seen, ShownRow};

/// Says of an alert whether it belongs to a list.
type Belongs<'q> = &'q dyn Fn(&Entity) -> bool;

impl Store {
    /// Alerts, ascending by id, as `{…},{…}`, `evidence` empty. Returns how many were written.
    pub fn alerts(&self, scope: &Scope, page: Page, out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut list = self.list_alerts(scope, &Listing::of(page))?;
        let mut written = 0;
        while let Some(piece) = list.next_piece()? {
            out.extend_from_slice(&piece);
            written = list.written;
        }
        Ok(written)
    }

    /// The alerts within retention that the caller may see.
    pub fn list_alerts(&self, scope: &Scope, listing: &Listing<'_>) -> Result<AlertList, Error> {
        let asked = self.ask_of_alerts(scope)?;
        let candidates = match listing.filter.and_then(|filter| filter.only(shapes::alert::ID)) {
            Some(ids) => read_lock(&asked.index).naming(ids.into_iter().map(alert_index::Named::Id)),
            None => read_lock(&asked.index).order().to_vec(),
        };
        asked.list(&candidates, None, listing)
    }

    /// The alerts on a machine, which is named as in [`Store::machine`]. `None`: no such machine, or not
    /// for this caller.
    pub fn machine_alerts(
        &self,
        scope: &Scope,
        id_or_name: &str,
        listing: &Listing<'_>,
    ) -> Result<Option<AlertList>, Error> {
        self.directory(scope)?;
        let sight = self.sight_of_alerts(scope)?;
        let ids = sight.ids(self.machine_window(scope.tenant()), id_or_name);
        let Some(ids) = ids else { return Ok(None) };
        let asked = self.ask_of_alerts_as(scope, sight)?;
        let candidates = read_lock(&asked.index).on_machine(&ids);
        let is_on_it = |alert: &Entity| {
            let on = alert.facts.text(shapes::alert::MACHINE_ID);
            on.is_some_and(|on| ids.iter().any(|id| id.as_str() == on))
        };
        asked.list(&candidates, Some((&is_on_it, Sure::OfPlain)), listing).map(Some)
    }

    /// The alerts whose evidence names a file, by this hash or by others that stand for the same file
    /// (`lookup` states the rule). `None`: unknown hash.
    pub fn file_alerts(
        &self,
        scope: &Scope,
        hash: &FileHash,
        listing: &Listing<'_>,
    ) -> Result<Option<AlertList>, Error> {
        let seen = self.ask_of_files(scope)?.seen(hash)?;
        let sets: Vec<Hashes> = seen.iter().flat_map(|seen| seen.resolved.hash_sets()).collect();
        let named: Vec<FileHash> = sets.iter().flat_map(Hashes::iter).chain([*hash]).collect();
        let belongs = |alert: &Entity| {
            let files = Named::by(alert).files;
            files.iter().any(|file| file.get(hash.kind()) == Some(*hash) || sets.contains(file))
        };
        let named = named.iter().map(alert_index::Named::File).collect();
        let list = self.alerts_naming(scope, named, &belongs, seen.is_some(), listing)?;
        // An alert that names only a hash of another kind cannot be counted to the file either.
        let (ask_instead, cut_short) =
            seen.map(|seen| (seen.resolved.ask_instead, seen.resolved.cut_short)).unwrap_or_default();
        Ok(list.map(|list| {
            let gaps = FileMachines { ask_instead, cut_short, ..list.gaps };
            AlertList { gaps, ..list }
        }))
    }

    /// The alerts whose evidence names a domain. `None`: nobody has ever told of it.
    pub fn domain_alerts(
        &self,
        scope: &Scope,
        domain: &Domain,
        listing: &Listing<'_>,
    ) -> Result<Option<AlertList>, Error> {
        let belongs = |alert: &Entity| Named::by(alert).domains.contains(domain.as_str());
        let is_known = self.knows_domain(scope, domain)?;
        self.alerts_naming(
            scope,
            vec![alert_index::Named::Domain(domain.as_str())],
            &belongs,
            is_known,
            listing,
        )
    }

    /// The same of an IP address.
    pub fn address_alerts(
        &self,
        scope: &Scope,
        address: IpAddr,
        listing: &Listing<'_>,
    ) -> Result<Option<AlertList>, Error> {
        let address = address.to_canonical();
        let text = address.to_string();
        let belongs = |alert: &Entity| Named::by(alert).addresses.contains(&text);
        let is_known = self.knows_address(scope, address)?;
        self.alerts_naming(scope, vec![alert_index::Named::Address(&text)], &belongs, is_known, listing)
    }

    /// The same of the users whom a name means. If nobody has ever told of them, of those whose name stands
    /// before the `@` of a principal name.
    pub fn user_alerts(
        &self,
        scope: &Scope,
        asked: &UserName,
        listing: &Listing<'_>,
    ) -> Result<Option<AlertList>, Error> {
        let is_known = self.knows_user(scope, asked)?;
        match asked.before_at().filter(|_| !is_known) {
            Some(name) => {
                let is_known = self.knows_user(scope, &name)?;
                self.alerts_of_users(scope, &name, is_known, listing)
            }
            None => self.alerts_of_users(scope, asked, is_known, listing),
        }
    }

    fn alerts_of_users(
        &self,
        scope: &Scope,
        asked: &UserName,
        is_known: bool,
        listing: &Listing<'_>,
    ) -> Result<Option<AlertList>, Error> {
        let belongs = |alert: &Entity| Named::by(alert).users.iter().any(|user| asked.means(user));
        let named = vec![alert_index::Named::User(&asked.name)];
        self.alerts_naming(scope, named, &belongs, is_known, listing)
    }

    /// Whether a domain was ever told of: by telemetry, or by an alert, also by one that the caller may not
    /// see.
    fn knows_domain(&self, scope: &Scope, domain: &Domain) -> Result<bool, Error> {
        if self.was_observed(scope, &Observable::Domain(domain.clone()))? {
            return Ok(true);
        }
        let belongs = |alert: &Entity| Named::by(alert).domains.contains(domain.as_str());
        self.is_named_by_an_alert(scope, alert_index::Named::Domain(domain.as_str()), &belongs)
    }

    /// The same of an address.
    fn knows_address(&self, scope: &Scope, address: IpAddr) -> Result<bool, Error> {
        if self.was_observed(scope, &Observable::Ip(address))? {
            return Ok(true);
        }
        let text = address.to_string();
        let belongs = |alert: &Entity| Named::by(alert).addresses.contains(&text);
        self.is_named_by_an_alert(scope, alert_index::Named::Address(&text), &belongs)
    }

    /// The same of the users whom a name means.
    fn knows_user(&self, scope: &Scope, asked: &UserName) -> Result<bool, Error> {
        if self.knows_user_of(scope, asked)? {
            return Ok(true);
        }
        let belongs = |alert: &Entity| Named::by(alert).users.iter().any(|user| asked.means(user));
        self.is_named_by_an_alert(scope, alert_index::Named::User(&asked.name), &belongs)
    }

    /// Whether an alert names something. If the scope hides what is only on hidden machines, an alert
    /// that the caller may see; else any.
    fn is_named_by_an_alert(
        &self,
        scope: &Scope,
        named: alert_index::Named<'_>,
        belongs: Belongs<'_>,
    ) -> Result<bool, Error> {
        let whole = Scope::whole(scope.tenant());
        let asked = self.ask_of_alerts(if scope.hides_files() { scope } else { &whole })?;
        let candidates = read_lock(&asked.index).naming([named].into_iter());
        let first = Listing::of(Page { skip: 0, top: 1 });
        Ok(asked.list(&candidates, Some((belongs, Sure::Never)), &first)?.left() > 0)
    }

    /// Alerts that name one of several things, as far as they belong to the list. `None`: there are none,
    /// and it is not known otherwise.
    fn alerts_naming(
        &self,
        scope: &Scope,
        named: Vec<alert_index::Named<'_>>,
        belongs: Belongs<'_>,
        is_known: bool,
        listing: &Listing<'_>,
    ) -> Result<Option<AlertList>, Error> {
        let asked = self.ask_of_alerts(scope)?;
        let candidates = read_lock(&asked.index).naming(named.into_iter());
        if !is_known {
            // Evidence may name what no machine has seen.
            let first = Listing::of(Page { skip: 0, top: 1 });
            if asked.clone().list(&candidates, Some((belongs, Sure::Never)), &first)?.left() == 0 {
                return Ok(None);
            }
        }
        let list = asked.list(&candidates, Some((belongs, Sure::Never)), listing)?;
        let gaps = FileMachines { damaged: self.lacks_some(), ..FileMachines::default() };
        Ok(Some(AlertList { gaps, ..list }))
    }

    fn ask_of_alerts(&self, scope: &Scope) -> Result<AlertQuestion, Error> {
        self.ask_of_alerts_as(scope, self.sight_of_alerts(scope)?)
    }

    fn ask_of_alerts_as(&self, scope: &Scope, sight: AlertSight) -> Result<AlertQuestion, Error> {
        let known = self.known();
        let listed = known.listed(scope.tenant(), self.now());
        let index = known.alert_indexes.current(&known.base, scope.tenant())?;
        Ok(AlertQuestion { known, index, sight, of: scope.tenant(), cutoffs: self.cutoffs(scope), listed })
    }
}

/// When the columns alone tell that an alert belongs to a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sure {
    /// Whenever they are the whole truth.
    OfPlain,
    /// They cannot tell.
    Never,
}

/// One question about alerts, all of it about what is known now.
#[derive(Clone)]
struct AlertQuestion {
    known: Arc<Known>,
    index: Arc<AlertIndex>,
    sight: AlertSight,
    of: TenantId,
    cutoffs: Cutoffs,
    /// When it was asked.
    listed: Time,
}

impl AlertQuestion {
    /// The list of those candidates, ascending by id, that belong to it.
    fn list(
        self,
        candidates: &[u32],
        belongs: Option<(Belongs<'_>, Sure)>,
        listing: &Listing<'_>,
    ) -> Result<AlertList, Error> {
        let meant = listing.filter.and_then(|filter| self.sight.meant(filter));
        let listing = &Listing { filter: meant.as_ref().or(listing.filter), ..*listing };
        let mut settled = {
            let rows = AlertRows { asked: &self, belongs, machines: RefCell::default() };
            settle(&rows, candidates, listing)?
        };
        let begun =
            listing.after.and_then(|place| place.listed).map_or(self.listed, |at| at.min(self.listed));
        let mut shown = begun;
        if let Some(next) = &mut settled.about.next {
            next.listed = Some(begun);
            shown = next.change(listing.order).map_or(begun, |last| last.min(begun));
        }
        Ok(AlertList {
            asked: self,
            begun,
            shown,
            numbers: settled.numbers.into_iter(),
            about: settled.about,
            gaps: FileMachines::default(),
            extras: Extras::default(),
            written: 0,
        })
    }

    /// An alert as it is now, and what it shows of its machine; `None`: it is gone, expired or hidden.
    fn shown(&self, id: &AlertId) -> Result<Option<(Entity, AlertMachine<'_>)>, Error> {
        let alert = self.known.base.alert(self.of, id)?.filter(|alert| self.cutoffs.keeps_alert(alert));
        Ok(alert.and_then(|alert| {
            let machine = self.sight.machine_of(&alert)?;
            Some((alert, machine))
        }))
    }
}

/// The rows of a list of alerts while it is settled.
struct AlertRows<'q> {
    asked: &'q AlertQuestion,
    belongs: Option<(Belongs<'q>, Sure)>,
    /// How the caller sees a machine, by the number of the text that names it.
    machines: RefCell<HashMap<u32, Seen>>,
}

/// What the columns say of a candidate.
enum Said {
    /// It is in the list.
    Passed(Vec<Value>),
    /// It must be looked at; whether the filter takes it, if that is known.
    Look(AlertId, Option<bool>),
}

impl AlertRows<'_> {
    /// `None`: it is not in the list.
    fn said(&self, row: &Row<'_>, id: &AlertId, listing: &Listing<'_>) -> Option<Said> {
        if row.is_odd() {
            return Some(Said::Look(id.clone(), None));
        }
        let Seen { is_visible, id: machine } = self.sees(row);
        if !is_visible || !self.asked.cutoffs.keeps_updated(row.last_update()) {
            return None;
        }
        let row = ShownRow { row, machine };
        let taken = match listing.filter {
            None => Some(true),
            Some(filter) => filter.decides(&row),
        };
        if taken == Some(false) {
            return None;
        }
        let belongs = self.belongs.is_none_or(|(_, sure)| sure == Sure::OfPlain);
        let value = |member: MemberId| Value::of_column(&shapes::alert::ASKABLE, member, row.column(member));
        let values: Option<Vec<Value>> = listing.order.iter().map(|by| value(by.member)).collect();
        Some(match (taken, values) {
            (Some(true), Some(values)) if belongs => Said::Passed(values),
            _ => Said::Look(id.clone(), taken),
        })
    }

    fn sees(&self, row: &Row<'_>) -> Seen {
        let sight = &self.asked.sight;
        if sight.sees_all() && sight.shows_told_ids() {
            return Seen { is_visible: true, id: None };
        }
        let Some(number) = row.machine_number() else {
            return Seen { is_visible: sight.sees_all(), id: None };
        };
        let seen = || {
            let id = filter::text(row.machine()).and_then(|told| sight.id_shown(&told));
            let id = id.map(|id| serde_json::Value::from(id.as_str()).to_string().into());
            Seen { is_visible: sight.sees_machine(row.machine()), id }
        };
        self.machines.borrow_mut().entry(number).or_insert_with(seen).clone()
    }

    /// Reads an alert; `None`: it is not in the list.
    fn look_at(
        &self,
        id: &AlertId,
        taken: Option<bool>,
        listing: &Listing<'_>,
    ) -> Result<Option<Vec<Value>>, Error> {
        let Some((alert, machine)) = self.asked.shown(id)? else { return Ok(None) };
        if self.belongs.is_some_and(|(belongs, _)| !belongs(&alert)) {
            return Ok(None);
        }
        if taken == Some(true) && listing.order.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let reads_evidence = |filter: &crate::Filter| filter.reads(shapes::alert::EVIDENCE);
        let extras = Extras { evidence: listing.filter.is_some_and(reads_evidence), sequence: true };
        let members = render::render_alert(self.asked.of, id.as_str(), &alert, &machine, extras);
        let object = format!("{{{members}}}");
        if taken != Some(true) && listing.filter.is_some_and(|filter| !filter.matches(&object)) {
            return Ok(None);
        }
        let shown = Subject::object(&shapes::alert::ASKABLE, &object);
        let value = |member| Value::of_json(&shapes::alert::ASKABLE, member, shown.member(member));
        Ok(Some(listing.order.iter().map(|by| value(by.member)).collect()))
    }
}

impl Rows for AlertRows<'_> {
    fn look(
        &self,
        candidates: &[u32],
        first: usize,
        listing: &Listing<'_>,
        found: &mut Vec<Ranked>,
    ) -> Result<(), Error> {
        let mut all = Vec::with_capacity(candidates.len());
        {
            let rows = read_lock(&self.asked.index);
            for (number, place) in candidates.iter().zip(first..) {
                if let (Some(row), Some(id)) = (rows.row(*number), rows.id(*number)) {
                    all.extend(self.said(&row, id, listing).map(|said| (place, said)));
                }
            }
        }
        for (place, said) in all {
            let values = match said {
                Said::Passed(values) => Some(values),
                Said::Look(id, taken) => self.look_at(&id, taken, listing)?,
            };
            found.extend(values.map(|values| Ranked { values, place }));
        }
        Ok(())
    }

    fn id(&self, number: u32) -> Option<String> {
        read_lock(&self.asked.index).id(number).map(ToString::to_string)
    }
}

/// Alerts to be written. Which ones and in what order was settled when they were asked for; each is
/// written as it is when its turn comes, and left out if it is gone by then. Nothing is held while a
/// client is waited for, and between two pieces there is nothing in memory but the alerts' numbers.
///
/// Who reads a list over and over for what changed since goes on from the greatest `sequence` or
/// `lastUpdateTime` that was shown. So an alert that changes after the list was asked for must not show
/// when: others may have changed before it that the list does not have. It shows the moment at which the
/// list was asked for, or what the page's last row stands at if the list is in the order of changes; what
/// it changed to comes again when somebody asks next.
pub struct AlertList {
    asked: AlertQuestion,
    /// When the list was asked for, the first page of it.
    begun: Time,
    /// When something changed as it shows, if it did after that.
    shown: Time,
    numbers: IntoIter<u32>,
    about: About,
    gaps: FileMachines,
    extras: Extras,
    written: usize,
}

/// A piece ends once it is so long.
const ENOUGH_BYTES: usize = 64 * 1024;

impl AlertList {
    /// The same with what is shown only if it is asked for.
    pub fn with(self, extras: Extras) -> AlertList {
        AlertList { extras, ..self }
    }

    /// How many are still to be written.
    pub fn left(&self) -> usize {
        self.numbers.len()
    }

    /// What is known of the list as a whole.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Why alerts that name what was asked about may be missing.
    pub fn gaps(&self) -> &FileMachines {
        &self.gaps
    }

    /// The next piece, of about 64 KB, as `{…},{…}`; all of them joined are the list. `None`: there are no
    /// more. It reads the base, so it may block.
    pub fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        let mut piece = String::new();
        while piece.len() < ENOUGH_BYTES
            && let Some(number) = self.numbers.next()
        {
            let id = read_lock(&self.asked.index).id(number).cloned();
            let Some(id) = id else { continue };
            let Some((mut alert, machine)) = self.asked.shown(&id)? else { continue };
            alert.date_changes_after(self.begun, self.shown);
            let members = render::render_alert(self.asked.of, id.as_str(), &alert, &machine, self.extras);
            piece.push_str(if self.written == 0 { "{" } else { ",{" });
            piece.push_str(&members);
            piece.push('}');
            self.written += 1;
        }
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}
