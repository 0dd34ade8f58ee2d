//! A user as the API writes it.

use pintle_model::{MachineId, shapes};

use super::{quoted, time_or_null};
use crate::Span;
use crate::entity::Entity;
use crate::observable::User;

/// Where a user logs on, as far as it is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prevalence {
    /// Machines in all.
    pub(crate) machines: usize,
    pub(crate) most: Option<MachineId>,
    pub(crate) least: Option<MachineId>,
}

/// Renders a user: seen from when to when, what sources say, and where; of a user on one machine `None`.
pub(crate) fn render_user(
    user: &User,
    seen: Option<Span>,
    known: &Entity,
    prevalence: Option<&Prevalence>,
) -> String {
    use shapes::user as u;
    let kinds: Vec<&str> = known.parts.keys().map(|kind| &**kind).collect();
    let text_or_null = |text: Option<&str>| Some(text.map_or("null".into(), quoted));
    let id_or_null = |id: Option<&MachineId>| text_or_null(id.map(MachineId::as_str));
    let mut text = String::with_capacity(512);
    known.facts.write_members(&u::SHAPE, &mut text, |member| match member {
        u::ID => Some(quoted(&user.id())),
        u::ACCOUNT_NAME => Some(quoted(user.name())),
        u::ACCOUNT_DOMAIN => text_or_null(Some(user.domain()).filter(|domain| !domain.is_empty())),
        u::FIRST_SEEN => Some(time_or_null(seen.map(|span| span.first))),
        u::LAST_SEEN => Some(time_or_null(seen.map(|span| span.last))),
        u::MOST_PREVALENT_MACHINE_ID => id_or_null(prevalence.and_then(|of| of.most.as_ref())),
        u::LEAST_PREVALENT_MACHINE_ID => id_or_null(prevalence.and_then(|of| of.least.as_ref())),
        u::LOGON_TYPES => text_or_null(Some(kinds.join(", ").as_str()).filter(|kinds| !kinds.is_empty())),
        u::LOG_ON_MACHINES_COUNT => {
            Some(prevalence.map_or("null".into(), |of| of.machines.to_string().into()))
        }
        u::IS_ONLY_NETWORK_USER if kinds.is_empty() => None,
        u::IS_ONLY_NETWORK_USER => Some(if kinds == ["Network"] { "true" } else { "false" }.into()),
        _ => None,
    });
    text
}
