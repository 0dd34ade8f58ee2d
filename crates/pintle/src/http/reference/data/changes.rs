//! Changes of alerts and machines.

use super::super::schema::{Object, Property, Schema, always, maybe};
use super::super::{Answer, BROKE_OFF, Body, Entry, JSON, PACKED, Refusal};
use super::options::*;
use crate::http::api::alerts::{change as alerts, create};
use crate::http::api::machines::change as machines;

const BAD_BODY: Refusal = (
    400,
    "`InvalidRequestBody`, `MissingRequiredParameter`: a body that cannot be used, and why. `ODataError`: an option that is not obeyed here.",
);
const TOO_MANY: Refusal = (
    400,
    "`MaximumBatchSizeExceeded`: too many at once. `InvalidRequestBody`, `MissingRequiredParameter`: a body that cannot be used, and why. `ODataError`: an option that is not obeyed here.",
);
const TOO_LARGE: Refusal = (413, "`RequestBodyTooLarge`: more than 1 MiB.");
const REFUSES: Refusal =
    (503, "`ServiceUnavailable`: the server keeps no changes at the moment: its log says why.");
const FULL: Refusal = (507, "`InsufficientStorage`: the disk is full.");

pub(in super::super) static ENTRIES: &[Entry] = &[
    Entry {
        method: "PATCH",
        path: "/api/alerts/{id}",
        id: "alerts.update",
        summary: "Update an alert",
        meaning: "Changes what is named and answers with the alert. What is left out or `null` stays; a comment is added; names of members in any case.",
        keys: ALERT_ID,
        query: &[SELECT_ALERTS],
        body: Some(Body { is_required: true, content: &[(JSON, Schema::Object(&ALERT_CHANGE))] }),
        answers: &[AN_ALERT],
        refusals: &[BAD_BODY, NO_ALERT, BROKE_OFF, TOO_LARGE, PACKED, REFUSES, FULL],
        ..Entry::GET
    },
    Entry {
        method: "POST",
        path: "/api/alerts/batchUpdate",
        id: "alerts.batch_update",
        summary: "Update many alerts",
        meaning: "The same change of up to 1,000 alerts: of all or, if one is unknown, of none.",
        body: Some(Body { is_required: true, content: &[(JSON, Schema::Object(&BATCH_CHANGE))] }),
        answers: &[Answer { status: 200, about: "Done.", content: &[] }],
        refusals: &[TOO_MANY, NO_ALERT, BROKE_OFF, TOO_LARGE, PACKED, REFUSES, FULL],
        ..Entry::GET
    },
    Entry {
        method: "POST",
        path: "/api/alerts/CreateAlertByReference",
        id: "alerts.create_by_reference",
        summary: "Create an alert about an event",
        meaning: "The event is named by its machine, its exact time and its `ReportId`; what it names becomes the alert's evidence. An open alert of the same title on the same machine takes the event instead.",
        query: &[SELECT_ALERTS],
        body: Some(Body { is_required: true, content: &[(JSON, Schema::Object(&NEW_ALERT))] }),
        answers: &[AN_ALERT],
        refusals: &[
            BAD_BODY,
            (
                404,
                "`ResourceNotFound`: no such event in the archive, or on a machine that the caller may not see.",
            ),
            BROKE_OFF,
            TOO_LARGE,
            PACKED,
            (
                503,
                "`ServiceUnavailable`: busy looking for other events, or the server keeps no changes at the moment: its log says why.",
            ),
            FULL,
        ],
        ..Entry::GET
    },
    Entry {
        method: "PATCH",
        path: "/api/machines/{id}",
        id: "machines.update",
        summary: "Update a machine",
        meaning: "Sets its tags or its value and answers with it. In the profile `2021` the list of tags may only grow, in `today` it takes the place of theirs.",
        keys: MACHINE_ID,
        query: &[SELECT_MACHINES],
        body: Some(Body { is_required: true, content: &[(JSON, Schema::Object(&MACHINE_CHANGE))] }),
        answers: &[MACHINE],
        refusals: &[
            (
                400,
                "`InvalidInput`: tags of the machine are missing in the list. `InvalidRequestBody`: a body that cannot be used, and why. `ODataError`: an option that is not obeyed here.",
            ),
            NO_MACHINE,
            BROKE_OFF,
            TOO_LARGE,
            PACKED,
            REFUSES,
            FULL,
        ],
        ..Entry::GET
    },
    Entry {
        method: "POST",
        path: "/api/machines/{id}/tags",
        id: "machines.tags",
        summary: "Add or remove a tag",
        meaning: "Gives a machine a tag or takes one away, and answers with it.",
        keys: MACHINE_ID,
        query: &[SELECT_MACHINES],
        body: Some(Body { is_required: true, content: &[(JSON, Schema::Object(&TAG))] }),
        answers: &[MACHINE],
        refusals: &[BAD_BODY, NO_MACHINE, BROKE_OFF, TOO_LARGE, PACKED, REFUSES, FULL],
        ..Entry::GET
    },
    Entry {
        method: "POST",
        path: "/api/machines/AddOrRemoveTagForMultipleMachines",
        id: "machines.tags_bulk",
        summary: "Add or remove a tag on many machines",
        meaning: "The same of up to 500 machines: of all or, if one is unknown, of none.",
        query: &[SELECT_MACHINES],
        body: Some(Body { is_required: true, content: &[(JSON, Schema::Object(&TAGS))] }),
        answers: &[MACHINES],
        refusals: &[TOO_MANY, NO_MACHINE, BROKE_OFF, TOO_LARGE, PACKED, REFUSES, FULL],
        ..Entry::GET
    },
    Entry {
        method: "POST",
        path: "/api/machines/{id}/setDeviceValue",
        id: "machines.set_device_value",
        summary: "Set a machine's value",
        meaning: "Says what a machine is worth and answers with it.",
        keys: MACHINE_ID,
        query: &[SELECT_MACHINES],
        body: Some(Body { is_required: true, content: &[(JSON, Schema::Object(&VALUE))] }),
        answers: &[MACHINE],
        refusals: &[BAD_BODY, NO_MACHINE, BROKE_OFF, TOO_LARGE, PACKED, REFUSES, FULL],
        ..Entry::GET
    },
];

/// Something besides blanks.
const NOT_BLANK: &str = r"\S";
const TAG_TEXT: Schema =
    Schema::PatternOf(r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$", 200);

static ALERT_CHANGE: Object = Object::sent("AlertChange", "What to change of an alert.", ALERT_MEMBERS);

const ALERT_MEMBERS: &[Property] = &[
    maybe("status", Schema::OrNull(&Schema::OneOf(alerts::STATUS)), "How far it is."),
    maybe("assignedTo", Schema::OrNull(&Schema::TextOf(0, 256)), "Who owns it."),
    maybe("classification", Schema::OrNull(&Schema::OneOf(alerts::CLASSIFICATION)), "The verdict."),
    maybe("determination", Schema::OrNull(&Schema::OneOf(alerts::DETERMINATION)), "The finer verdict."),
    maybe("comment", Schema::OrNull(&Schema::TextOf(0, 10_000)), "A comment to be added."),
];

static BATCH_CHANGE: Object = Object::sent(
    "AlertBatchChange",
    "What to change of many alerts.",
    &[
        always("alertIds", Schema::ListOf(&Schema::TextOf(0, 256), 1, 1_000), "Which alerts, at most 1,000."),
        maybe("status", Schema::OrNull(&Schema::OneOf(alerts::STATUS)), "How far they are."),
        maybe("assignedTo", Schema::OrNull(&Schema::TextOf(0, 256)), "Who owns them."),
        maybe("classification", Schema::OrNull(&Schema::OneOf(alerts::CLASSIFICATION)), "The verdict."),
        maybe("determination", Schema::OrNull(&Schema::OneOf(alerts::DETERMINATION)), "The finer verdict."),
        maybe("comment", Schema::OrNull(&Schema::TextOf(0, 10_000)), "A comment to be added."),
    ],
);

static NEW_ALERT: Object = Object::sent(
    "NewAlert",
    "An alert to be raised.",
    &[
        always("machineId", Schema::PatternOf(NOT_BLANK, 256), "The machine of the event."),
        always("eventTime", Schema::Time, "The exact time of the event."),
        always("reportId", Schema::Pattern("^[0-9]{1,18}$"), "The event's `ReportId`."),
        always("severity", Schema::OneOf(create::SEVERITY), "The severity."),
        always("category", Schema::OneOf(create::CATEGORY), "The category."),
        always("title", Schema::PatternOf(NOT_BLANK, 256), "The headline."),
        always("description", Schema::PatternOf(NOT_BLANK, 10_000), "The text."),
        always(
            "recommendedAction",
            Schema::PatternOf(NOT_BLANK, 10_000),
            "What is to be done; it becomes a comment.",
        ),
    ],
);

static MACHINE_CHANGE: Object = Object::sent(
    "MachineChange",
    "What to change of a machine.",
    &[
        maybe("machineTags", Schema::OrNull(&Schema::ListOf(&TAG_TEXT, 1, 1_000)), "Its tags, not none."),
        maybe("deviceValue", Schema::OrNull(&Schema::OneOf(machines::DEVICE_VALUE)), "What it is worth."),
    ],
);

static TAG: Object = Object::sent(
    "TagChange",
    "A tag to be given or taken away.",
    &[
        always("Value", TAG_TEXT, "The tag, at most 200 characters."),
        always("Action", Schema::OneOf(machines::ACTION), "What to do."),
    ],
);

static TAGS: Object = Object::sent(
    "TagBatchChange",
    "A tag to be given to many machines or taken away.",
    &[
        always("Value", TAG_TEXT, "The tag, at most 200 characters."),
        always("Action", Schema::OneOf(machines::ACTION), "What to do."),
        always("MachineIds", Schema::ListOf(&Schema::TextOf(0, 256), 1, 500), "Which machines, at most 500."),
    ],
);

static VALUE: Object = Object::sent(
    "DeviceValueChange",
    "What a machine is worth.",
    &[always("DeviceValue", Schema::OneOf(machines::DEVICE_VALUE), "The value.")],
);
