//! What many routes of the data have alike.

use pintle_model::Shape;
use pintle_model::shapes::{alert, domain, file, ip, machine, user};

use super::super::schema::Schema;
use super::super::{Answer, JSON, Parameter, Refusal};
use crate::http::odata;
use crate::http::page::{MAX_NUMBER, MAX_TOP};
use crate::http::representation::NDJSON;

pub(super) const TOP: Parameter = Parameter::option(
    "$top",
    Schema::Number(0, MAX_TOP as u64),
    "The most rows to give. With it the answer has no link to those that follow: count on with `$skip`.",
);
pub(super) const SKIP: Parameter =
    Parameter::option("$skip", Schema::Number(0, MAX_NUMBER), "How many rows to leave out first.");
pub(super) const SKIP_TOKEN: Parameter = Parameter::option(
    "$skiptoken",
    Schema::Named("odata-skiptoken"),
    "Where to go on, as `@odata.nextLink` has it for the same `$filter` and `$orderby`. Its text means nothing else.",
);
/// `$select` of entities of a shape.
const fn select(shape: &'static Shape) -> Parameter {
    Parameter::option(
        "$select",
        Schema::Select(shape),
        "The members to give, by their names in any case, with commas between them; `*` for all. At most 100 names.",
    )
}
pub(super) const SELECT_ALERTS: Parameter = select(&alert::ASKABLE);
pub(super) const SELECT_MACHINES: Parameter = select(&machine::SHAPE);
pub(super) const SELECT_FILES: Parameter = select(&file::SHAPE);
pub(super) const SELECT_DOMAINS: Parameter = select(&domain::SHAPE);
pub(super) const SELECT_IPS: Parameter = select(&ip::SHAPE);
pub(super) const SELECT_USERS: Parameter = select(&user::SHAPE);
pub(super) const COUNT: Parameter =
    Parameter::option("$count", Schema::Bool, "Whether to count all rows, as `@odata.count`.");
const ORDER_ALERTS: Parameter = order_by("odata-order-alert");
pub(super) const ORDER_MACHINES: Parameter = order_by("odata-order-machine");

const fn order_by(format: &'static str) -> Parameter {
    Parameter::option(
        "$orderby",
        Schema::Named(format),
        "The members to order by, as `severity desc,id`, at most 8; ties go by id. By id if it is not given.",
    )
}

const EXPAND: Parameter =
    Parameter::option("$expand", Schema::OneOf(&["evidence"]), "`evidence` gives alerts theirs.");
const WHICH_ALERTS: Parameter = Parameter::option("$filter", Schema::Filter(&odata::ALERT), "Which alerts.");
pub(super) const WHICH_MACHINES: Parameter =
    Parameter::option("$filter", Schema::Filter(&odata::MACHINE), "Which machines.");

pub(super) const ALERT_FILTER: &[Parameter] = &[WHICH_ALERTS];
pub(super) const ALERT_LIST: &[Parameter] =
    &[WHICH_ALERTS, ORDER_ALERTS, TOP, SKIP, SKIP_TOKEN, SELECT_ALERTS, EXPAND, COUNT];
pub(super) const MACHINE_LIST: &[Parameter] =
    &[WHICH_MACHINES, ORDER_MACHINES, TOP, SKIP, SKIP_TOKEN, SELECT_MACHINES, COUNT];
pub(super) const RELATED_MACHINES: &[Parameter] = MACHINE_LIST;

/// A header that every route of [`UNKNOWN`] takes.
pub(in super::super) const PREFER: Parameter = Parameter::option(
    "Prefer",
    Schema::Text,
    "`strict`: what is unknown is a 404 in any profile. Other preferences are left out of account.",
);

pub(super) const LOOK_BACK_HOURS: Parameter = Parameter::option(
    "lookBackHours",
    Schema::Number(1, 720),
    "How far the counts look back. 720 hours if it is not given.",
);

pub(super) const BAD_OPTION: Refusal =
    (400, "`ODataError`: an option that begins with `$` and is not obeyed here, or has a bad value.");
pub(super) const BUSY: Refusal =
    (503, "`ServiceUnavailable`: busy with other lists; `Retry-After` says for how long at most.");
pub(super) const NO_ALERT: Refusal =
    (404, "`ResourceNotFound`: no such alert, or none that the caller may see.");
pub(super) const NO_MACHINE: Refusal =
    (404, "`ResourceNotFound`: no such machine, or none that the caller may see.");
pub(super) const NO_FILE: Refusal = (404, "`ResourceNotFound`: the tenant has never seen the file.");
pub(super) const BAD_HASH: Refusal =
    (400, "`InvalidHashValue`: no SHA-1, SHA-256 or MD5. `ODataError`: an option that is not obeyed here.");

pub(super) const ALERT_ID: &[Parameter] =
    &[Parameter::key("id", Schema::Named("alert-id"), "The alert's id. It is opaque: any text may be one.")];
pub(super) const MACHINE_ID: &[Parameter] = &[Parameter::key(
    "id",
    Schema::Named("machine-id"),
    "The machine's id, or its computer name in any case.",
)];
pub(super) const HASH: &[Parameter] = &[Parameter::key(
    "id",
    Schema::NamedPattern("file-hash", "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$"),
    "A hash of the file: SHA-1, SHA-256 or MD5, which its length decides.",
)];

pub(super) const MACHINES: Answer = Answer {
    status: 200,
    about: "The machines, by id or as asked.",
    content: &[(JSON, Schema::Rows(&machine::SHAPE)), (NDJSON, Schema::Text)],
};
pub(super) const ALERTS: Answer = Answer {
    status: 200,
    about: "The alerts, by id or as asked.",
    content: &[(JSON, Schema::Rows(&alert::ASKABLE)), (NDJSON, Schema::Text)],
};
pub(super) const MACHINE: Answer =
    Answer { status: 200, about: "The machine.", content: &[(JSON, Schema::Single(&machine::SHAPE))] };
pub(super) const AN_ALERT: Answer =
    Answer { status: 200, about: "The alert.", content: &[(JSON, Schema::Single(&alert::ASKABLE))] };
pub(super) const DOMAIN: &[Parameter] = &[Parameter::key(
    "id",
    Schema::Named("host-name"),
    "A host name, exactly: no scheme, no path, and not what is above or below it.",
)];
pub(super) const ADDRESS: &[Parameter] = &[Parameter::key(
    "id",
    Schema::NamedPattern("ip-address", "^[0-9A-Fa-f:.]+$"),
    "An address of IPv4 or IPv6.",
)];
pub(super) const USER: &[Parameter] = &[Parameter::key(
    "id",
    Schema::Named("account-name"),
    "The account's name in any case: `user1`, or `domain\\user1` as answers give it, or `user1@contoso.com`.",
)];
pub(super) const BAD_DOMAIN: Refusal =
    (400, "`InvalidDomainName`: no host name. `InvalidInput`, `ODataError`: a bad parameter.");
pub(super) const BAD_ADDRESS: Refusal =
    (400, "`InvalidIpAddress`: no address. `InvalidInput`, `ODataError`: a bad parameter.");
/// What a route says that goes by the profile, and by [`PREFER`].
pub(in super::super) const UNKNOWN: Refusal = (
    404,
    "`ResourceNotFound`: nobody has heard of it; in the profile `today` that is an empty answer, unless the request says `Prefer: strict`.",
);
