//! What a client asks of a list with `$filter`, `$orderby`, `$top`, `$skip`, `$skiptoken`, `$count` and
//! `$expand`, and the link to the rows that follow.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pintle_model::shapes::alert::SEQUENCE;
use pintle_model::{Shape, TenantId};
use pintle_store::{About, BadCondition, Condition, Extras, Filter, Listing, OrderBy, Page, Place};

use crate::http::caller::Caller;
use crate::http::cursor::Cursor;
use crate::http::error::Failure;
use crate::http::odata::{self, Fields};
use crate::http::origin::Origin;
use crate::http::page::{MAX_TOP, Options, unsupported};
use crate::http::representation::Representation;
use crate::http::resource::{Alerts, Resource};
use crate::instance::Instance;

/// The options of a list as they are sent.
#[derive(Clone, Debug)]
pub struct ListOptions {
    options: Options,
    /// The path that was asked, as the table of routes spells it.
    path: String,
}

impl FromRequestParts<Arc<Instance>> for ListOptions {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Instance>) -> Result<ListOptions, Failure> {
        let options = Options::read(parts.uri.query().unwrap_or_default())?;
        Ok(ListOptions { options, path: parts.uri.path().to_owned() })
    }
}

/// What may be expanded in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expands {
    /// `evidence`.
    Evidence,
    /// Nothing.
    Nothing,
}

/// What is asked of a list.
pub struct Asked {
    tenant: TenantId,
    options: Options,
    path: String,
    filter: Option<Filter>,
    order: Vec<OrderBy>,
    after: Option<Place>,
    cursor: Cursor,
    /// `$expand=evidence`.
    evidence: bool,
}

impl ListOptions {
    /// What they ask for, of a list of entities with these fields.
    pub fn of(
        self,
        fields: &'static Fields,
        expands: Expands,
        caller: &Caller,
        instance: &Instance,
    ) -> Result<Asked, Failure> {
        let ListOptions { options, path } = self;
        let (filter, orderby) = (options.filter.as_deref(), options.orderby.as_deref());
        let cursor = Cursor::of(&instance.control, caller, &path, filter, orderby);
        let after = options.skiptoken.as_deref().map(|token| {
            cursor.open(token.trim()).ok_or_else(|| {
                Failure::query(
                    "The $skiptoken is not one that this server gave for this list, with the same $filter and $orderby, to this caller: follow @odata.nextLink as it is, or begin again without $skiptoken.",
                )
            })
        });
        Ok(Asked {
            tenant: caller.scope.tenant(),
            filter: filter.map(|text| odata::filter(text, fields)).transpose()?,
            order: orderby.map(|text| odata::order(text, fields)).transpose()?.unwrap_or_default(),
            after: after.transpose()?,
            evidence: expanded(options.expand.as_deref(), expands)?,
            cursor,
            options,
            path,
        })
    }

    /// The filter alone: for a count, on which nothing else has a bearing.
    pub fn only_filter(self, fields: &'static Fields) -> Result<Option<Filter>, Failure> {
        let filter = self.options.filter.as_deref().map(|text| odata::filter(text, fields)).transpose()?;
        let others = Options { filter: None, ..self.options };
        match others.first().or(others.select.is_some().then_some("$select")) {
            None => Ok(filter),
            Some(name) => Err(Failure::query(&format!(
                "The requested resource is a number, so {name} does not apply to it: only $filter does."
            ))),
        }
    }
}

fn expanded(asked: Option<&str>, expands: Expands) -> Result<bool, Failure> {
    match (asked.map(str::trim), expands) {
        (None, _) => Ok(false),
        (Some(name), Expands::Evidence) if name.eq_ignore_ascii_case("evidence") => Ok(true),
        (Some(_), Expands::Evidence) => Err(Failure::query(
            "Only 'evidence' can be named in $expand: the property is not a navigation property.",
        )),
        (Some(_), Expands::Nothing) => Err(unsupported("$expand")),
    }
}

impl Asked {
    /// Of whose entities.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The same of those entities alone that meet a condition.
    pub fn only(self, shape: &'static Shape, condition: Condition) -> Result<Asked, BadCondition> {
        let filter = match self.filter {
            Some(filter) => filter.and(condition)?,
            None => Filter::new(shape, condition),
        };
        Ok(Asked { filter: Some(filter), ..self })
    }

    /// A page of a list that has a published page size; lines of JSON are not paged.
    pub fn page<'a, R: Resource>(&'a self, wanted: &Representation<R>, stop: &'a AtomicBool) -> Listing<'a> {
        self.listing(if wanted.is_lines() { usize::MAX } else { MAX_TOP }, stop)
    }

    /// All of a related collection: no page size is published for those.
    pub fn related<'a>(&'a self, stop: &'a AtomicBool) -> Listing<'a> {
        self.listing(usize::MAX, stop)
    }

    fn listing<'a>(&'a self, page_size: usize, stop: &'a AtomicBool) -> Listing<'a> {
        Listing {
            filter: self.filter.as_ref(),
            order: &self.order,
            after: self.after.as_ref(),
            page: Page {
                skip: self.options.skip.unwrap_or_default(),
                top: self.options.top.unwrap_or(page_size),
            },
            count: self.options.count == Some(true),
            stop: Some(stop),
        }
    }

    /// What alerts show of what they show only to who asks for it.
    pub fn extras(&self, wanted: &Representation<Alerts>) -> Extras {
        let filters = self.filter.as_ref().is_some_and(|filter| filter.reads(SEQUENCE));
        let orders = self.order.iter().any(|by| by.member == SEQUENCE);
        Extras { evidence: self.evidence, sequence: filters || orders || wanted.selects("sequence") }
    }

    /// Whether every row has to be looked at, which takes longer than to find a page.
    pub fn is_long(&self) -> bool {
        self.filter.is_some() || !self.order.is_empty() || self.options.count == Some(true)
    }

    /// What `@odata.count` says of a list that has no rows at all.
    pub fn count_of_none(&self) -> Option<usize> {
        (self.options.count == Some(true)).then_some(0)
    }

    /// Where a list goes on after a full page. With `$top` there is never a link: the client pages
    /// by itself. Without one the real service gives a damaged link or none; a correct one harms no
    /// client examined. It has the options that were sent, as they were sent, and where to go on in the
    /// place of `$skip`, so that it is no longer on the hundredth page than on the first.
    pub fn next_link(&self, origin: &Origin, about: &About) -> Option<String> {
        let place = about.next.as_ref().filter(|_| self.options.top.is_none())?;
        let mut link = format!("{}{}?", origin.as_str(), self.path);
        for option in &self.options.sent {
            link.push_str(option);
            link.push('&');
        }
        link.push_str("$skiptoken=");
        link.push_str(&self.cursor.seal(place)?);
        Some(link)
    }
}
