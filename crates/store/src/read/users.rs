//! Users: where they log on, who logs on to a machine, whom an alert is about.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use pintle_model::{AlertId, shapes};
use serde_json::Value;

use super::alerts::List;
use super::{FileQuestion, ordinals_of};
use crate::base::Seen;
use crate::directory::{Directory, Grouping, MachineList};
use crate::entity::{Entity, most};
use crate::pair::Pair;
use crate::render::user::{Prevalence, render_user};
use crate::store::{Store, read_lock};
use crate::{Error, FileMachines, Listing, Observable, Page, Scope, Span, User, UserName};

/// The most domains in which users of one name are looked at, those with the smallest names: every
/// machine may have an `administrator` of its own.
const MAX_DOMAINS: usize = 100_000;
/// The most users of one machine, those with the smallest names.
const MAX_USERS: usize = 10_000;

impl FileQuestion<'_> {
    /// Calls `each` with all users whom a name means; returns whether there were more than are looked at.
    fn users(&self, asked: &UserName, each: &mut dyn FnMut(User, Seen)) -> Result<bool, Error> {
        let mut looked_at = 0;
        let mut one = |user: User, seen: Seen| {
            looked_at += 1;
            if asked.means(&user)
                && let Some(seen) = self.counted(seen)?
            {
                each(user, seen);
            }
            Ok(looked_at < MAX_DOMAINS)
        };
        self.known.base.users_named(self.scope.tenant(), &asked.name, &mut one)?;
        Ok(looked_at >= MAX_DOMAINS)
    }

    /// The same, and if there is none, with what stands before the `@` of a principal name.
    fn users_meant(&self, asked: &UserName, each: &mut dyn FnMut(User, Seen)) -> Result<bool, Error> {
        let mut found = false;
        let cut_short = self.users(asked, &mut |user, seen| {
            found = true;
            each(user, seen);
        })?;
        match asked.before_at().filter(|_| !found) {
            Some(name) => self.users(&name, each),
            None => Ok(cut_short),
        }
    }

    /// The users of a machine of these ordinals, with what is known of them there: of too many those with the
    /// smallest names.
    fn users_on(&self, members: &[u32]) -> Result<BTreeMap<User, Entity>, Error> {
        let mut users: BTreeMap<User, Entity> = BTreeMap::new();
        for ordinal in members {
            self.known.base.logons_on(self.scope.tenant(), *ordinal, &mut |user, known| {
                // What one source saw long ago another may have seen since.
                if members.len() == 1 && !self.cutoffs.keeps_span(known.span) {
                    return true;
                }
                users.entry(user.clone()).or_default().merge(known, most::LOGON_TYPES);
                // They come by their names.
                let dropped = if users.len() > MAX_USERS { users.pop_last() } else { None };
                dropped.is_none_or(|(last, _)| last != user)
            })?;
        }
        users.retain(|_, known| self.cutoffs.keeps_span(known.span));
        Ok(users)
    }

    /// The members of one `user` object.
    fn render_user(&self, user: &User, seen: &Seen, stop: &AtomicBool) -> Result<String, Error> {
        let tenant = self.scope.tenant();
        let joins = self.joins()?;
        let machines = ordinals_of(&seen.pairs).flat_map(|ordinal| joins.members(ordinal));
        let known = match &self.grouping {
            // What hidden machines say of them counts for nothing.
            Some(_) => &self.known.base.logons_of(tenant, user, machines, stop)?,
            None => &seen.entity,
        };
        let span = seen.pairs.iter().fold(None, |span, (_, pair)| Span::joined(span, pair.any_role));
        let directory = self.known.directory(tenant)?;
        let prevalence = prevalence(&read_lock(&directory), self.then()?, self, &seen.pairs);
        Ok(render_user(user, span, known, Some(&prevalence)))
    }
}

/// Where a user is most and least. Logons are not counted, because the same record may come twice: the
/// longer the time from the first to the last, the more. A machine that the caller may not see, or that is
/// outside retention, is not named.
fn prevalence(
    directory: &Directory,
    then: &Grouping,
    question: &FileQuestion<'_>,
    pairs: &[(u32, Pair)],
) -> Prevalence {
    let length = |span: Span| Duration::from_micros(span.last.ticks().abs_diff(span.first.ticks()) / 10);
    let visible = || {
        pairs.iter().filter_map(|(ordinal, pair)| {
            let is_named = directory.is_listed_as(then, question.scope, question.window, *ordinal);
            let id = &directory.own(*ordinal).filter(|_| is_named)?.id;
            Some((pair.any_role.map(|span| (length(span), span.last)), id))
        })
    };
    let most = visible().max_by_key(|(seen, id)| (*seen, Reverse(*id)));
    let least = visible().min_by_key(|(seen, id)| (*seen, *id));
    let id = |(_, id): (_, &_)| Clone::clone(id);
    Prevalence { machines: pairs.len(), most: most.map(id), least: least.map(id) }
}

impl Store {
    /// A user by name: the members of one `user` object. Of several domains the one in which the user is
    /// on the most machines, then the one seen last, then by id; and why it may be another. `None`: nobody
    /// has heard of them. Ends with [`Error::Stopped`] once `stop` is set.
    pub fn user(
        &self,
        scope: &Scope,
        asked: &UserName,
        stop: &AtomicBool,
    ) -> Result<Option<(String, FileMachines)>, Error> {
        let question = self.ask_of_files(scope)?;
        let last =
            |seen: &Seen| seen.pairs.iter().filter_map(|(_, pair)| pair.any_role).map(|of| of.last).max();
        let rank = |user: &User, seen: &Seen| (seen.pairs.len(), last(seen), Reverse(user.id()));
        let mut found: Option<(User, Seen)> = None;
        let cut_short = question.users_meant(asked, &mut |user, seen| {
            if found.as_ref().is_none_or(|(other, of_other)| rank(&user, &seen) > rank(other, of_other)) {
                found = Some((user, seen));
            }
        })?;
        let Some((user, seen)) = found else { return Ok(None) };
        let gaps = FileMachines { cut_short, damaged: self.lacks_some(), ..FileMachines::default() };
        Ok(Some((question.render_user(&user, &seen, stop)?, gaps)))
    }

    /// Whether telemetry names a user of exactly this name, as far as that counts for the caller.
    pub(super) fn knows_user_of(&self, scope: &Scope, asked: &UserName) -> Result<bool, Error> {
        let mut is_known = false;
        self.ask_of_files(scope)?.users(asked, &mut |_, _| is_known = true)?;
        Ok(is_known)
    }

    /// The machines of all users of a name, ascending by id, to be written piece by piece. `None`: nobody
    /// has heard of them. Users seen only on machines that the caller may not see are known all the same,
    /// unless the scope narrows statistics ([`Scope::narrowing_statistics`]).
    pub fn list_user_machines(
        &self,
        scope: &Scope,
        asked: &UserName,
        listing: &Listing<'_>,
    ) -> Result<Option<(MachineList, FileMachines)>, Error> {
        let question = self.ask_of_files(scope)?;
        let mut machines: Option<Vec<u32>> = None;
        let cut_short = question.users_meant(asked, &mut |_, seen| {
            machines.get_or_insert_default().extend(ordinals_of(&seen.pairs));
        })?;
        let Some(mut machines) = machines else { return Ok(None) };
        machines.sort_unstable();
        machines.dedup();
        let (list, found) = self.list_ordinals(&question, machines, listing)?;
        Ok(Some((list, FileMachines { cut_short, ..found })))
    }

    /// The users of a machine, by id or by name, as `{…},{…}`, ascending by id. `None`: no such machine,
    /// or not for this caller.
    pub fn logon_users(
        &self,
        scope: &Scope,
        id_or_name: &str,
        page: Page,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Error> {
        let question = self.ask_of_files(scope)?;
        let window = self.machine_window(scope.tenant());
        let directory = question.known.directory(scope.tenant())?;
        let members = {
            let directory = read_lock(&directory);
            let machine = directory.find(scope, window, id_or_name);
            machine.and_then(|machine| Some(directory.ordinals_of(directory.ordinal(&machine.id)?)))
        };
        let Some(members) = members else { return Ok(None) };
        let users = question.users_on(&members)?;
        let mut users: Vec<(String, User, Entity)> =
            users.into_iter().map(|(user, known)| (user.id(), user, known)).collect();
        users.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
        let mut list = List::new(out);
        for (_, user, known) in users.iter().skip(page.skip).take(page.top) {
            list.push(&render_user(user, known.span, known, None));
        }
        Ok(Some(list.written))
    }

    /// The user whom an alert is about: the members of one `user` object. `None`: no such alert, or not
    /// for this caller; and within, none: the alert names none. A user of whom nothing else is known has
    /// name and domain. Ends with [`Error::Stopped`] once `stop` is set.
    pub fn alert_user(
        &self,
        scope: &Scope,
        id: &AlertId,
        stop: &AtomicBool,
    ) -> Result<Option<Option<String>>, Error> {
        let Some(alert) = self.visible_alert(scope, id)? else { return Ok(None) };
        let named = alert.facts.json(shapes::alert::RELATED_USER);
        let named: Option<Value> = named.and_then(|json| serde_json::from_str(json).ok());
        let text = |name: &str| named.as_ref()?.get(name)?.as_str();
        let user =
            text("userName").and_then(|name| User::named(name, text("domainName").unwrap_or_default()));
        let Some(user) = user else { return Ok(Some(None)) };
        let question = self.ask_of_files(scope)?;
        let seen = question.observable(&Observable::User(user.clone()))?.unwrap_or_default();
        question.render_user(&user, &seen, stop).map(|members| Some(Some(members)))
    }
}
