//! Administration. What goes over the wire is declared in `crates/pintle/src/admin/wire.rs`; the
//! scenarios' answers are held against what stands here.

use super::schema::{Object, Property, Schema, always, maybe};
use super::{Answer, BROKE_OFF, Body, Content, Entry, JSON, PACKED, Parameter, Refusal};

const BAD: Refusal = (400, "`InvalidInput`: the body cannot be used; the message says why.");
const TOO_LARGE: Refusal = (413, "`RequestBodyTooLarge`: a body of more than 256 KiB.");
const GONE: Refusal = (404, "`ResourceNotFound`: there is none of that name or id.");
const TAKEN: Refusal = (409, "`Conflict`: there is one of that name already.");

const ID: Parameter = Parameter::key("id", Schema::Text, "The application's client id.");
const CREDENTIAL: Parameter = Parameter::key("credential", Schema::Text, "The credential's id.");
const INLET: Parameter = Parameter::key("inlet", Schema::Text, "The inlet's name or id.");
const KEY_ID: Parameter = Parameter::key("key", Schema::Text, "The key's id.");
const KID: Parameter = Parameter::key("kid", Schema::Text, "The key's id.");
const USER: Parameter = Parameter::key("user", Schema::Text, "The user's name or id.");
const GROUP: Parameter = Parameter::key("group", Schema::Text, "The group's name or id.");
const RULE_KEY: Parameter = Parameter::key("rule", Schema::Text, "The rule's name or id.");
const ROLE: Parameter = Parameter::key("role", Schema::Text, "The role's name or id.");

/// An operation on everything of a kind.
const fn of_all(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    [summary, meaning]: [&'static str; 2],
    answers: &'static [Answer],
) -> Entry {
    Entry {
        method,
        path,
        id,
        summary,
        meaning,
        answers,
        refusals: &[BROKE_OFF, TOO_LARGE, PACKED],
        ..Entry::GET
    }
}

/// An operation that takes something.
const fn takes(entry: Entry, content: &'static [Content], refusals: &'static [Refusal]) -> Entry {
    Entry { body: Some(Body { is_required: true, content }), refusals, ..entry }
}

/// An operation on one thing.
const fn on(entry: Entry, keys: &'static [Parameter]) -> Entry {
    Entry { keys, refusals: &[BAD, GONE, BROKE_OFF, TOO_LARGE, PACKED], ..entry }
}

const CHANGES: &[Refusal] = &[BAD, GONE, TAKEN, BROKE_OFF, TOO_LARGE, PACKED];

macro_rules! gives {
    ($one:ident, $many:ident, $object:ident) => {
        const $one: &[Answer] = &[Answer {
            status: 200,
            about: "It, as it is now.",
            content: &[(JSON, Schema::Object(&$object))],
        }];
        const $many: &[Answer] = &[Answer {
            status: 200,
            about: "All there are.",
            content: &[(JSON, Schema::List(&Schema::Object(&$object)))],
        }];
    };
}

const NOTHING: &[Answer] = &[Answer { status: 200, about: "It is done.", content: &[(JSON, Schema::Null)] }];

gives!(ONE_TENANT, ALL_TENANTS, TENANT);
gives!(ONE_KEY, ALL_KEYS, KEY);
gives!(ONE_CLIENT, ALL_CLIENTS, CLIENT);
gives!(ONE_INLET, ALL_INLETS, INLET_GIVEN);
gives!(ONE_USER, ALL_USERS, USER_GIVEN);
gives!(ONE_USER_GROUP, ALL_USER_GROUPS, USER_GROUP);
gives!(ONE_DEVICE_GROUP, ALL_DEVICE_GROUPS, DEVICE_GROUP);
gives!(ONE_MACHINE_RULE, ALL_MACHINE_RULES, MACHINE_RULE);
gives!(ONE_ROLE, ALL_ROLES, ROLE_GIVEN);

macro_rules! body {
    ($name:ident, $object:ident) => {
        const $name: &[Content] = &[(JSON, Schema::Object(&$object))];
    };
}

body!(NEW_TENANT_BODY, NEW_TENANT);
body!(NEW_CLIENT_BODY, NEW_CLIENT);
body!(CLIENT_CHANGE_BODY, CLIENT_CHANGE);
body!(NEW_SECRET_BODY, NEW_SECRET);
body!(NEW_CERTIFICATE_BODY, NEW_CERTIFICATE);
body!(LIMIT_BODY, LIMIT);
body!(NEW_INLET_BODY, NEW_INLET);
body!(INLET_CHANGE_BODY, INLET_CHANGE);
body!(NEW_USER_BODY, NEW_USER);
body!(USER_CHANGE_BODY, USER_CHANGE);
body!(NEW_PASSWORD_BODY, NEW_PASSWORD);
body!(NEW_USER_GROUP_BODY, NEW_USER_GROUP);
body!(USER_GROUP_CHANGE_BODY, USER_GROUP_CHANGE);
body!(DEVICE_GROUP_CHANGE_BODY, DEVICE_GROUP_CHANGE);
body!(PREVIEW_BODY, PREVIEW_ASKED);
body!(MACHINE_RULE_CHANGE_BODY, MACHINE_RULE_CHANGE);
body!(JOINED_BODY, JOINED_ASKED);
body!(JOIN_PREVIEW_BODY, JOIN_PREVIEW_ASKED);
body!(EXPLAIN_BODY, EXPLAIN_ASKED);
body!(ROLE_CHANGE_BODY, ROLE_CHANGE);

#[rustfmt::skip]
pub(super) static ENTRIES: &[Entry] = &[
    of_all("GET", "/api/admin/tenants", "admin.tenants.list", ["List tenants", "Every tenant of the server."], ALL_TENANTS),
    takes(of_all("POST", "/api/admin/tenants", "admin.tenants.create", ["Make a tenant", "A tenant without data, users or applications."], ONE_TENANT), NEW_TENANT_BODY, CHANGES),

    of_all("GET", "/api/admin/keys", "admin.keys.list", ["List signing keys", "The keys that sign tokens, or did."], ALL_KEYS),
    on(of_all("POST", "/api/admin/keys/publish", "admin.keys.publish", ["Publish the next key", "Makes a key that does not sign yet, so that others learn of it before it does."], ONE_KEY), &[]),
    on(of_all("POST", "/api/admin/keys/rotate", "admin.keys.rotate", ["Exchange the signing key", "The published key signs from now on; the one before is kept until its tokens have expired."], ONE_KEY), &[]),
    on(of_all("POST", "/api/admin/keys/{kid}/revoke", "admin.keys.revoke", ["Revoke a key", "Tokens that it signed are refused by the next request."], ONE_KEY), &[KID]),

    of_all("GET", "/api/admin/clients", "admin.clients.list", ["List applications", "The tenant's applications."], ALL_CLIENTS),
    takes(of_all("POST", "/api/admin/clients", "admin.clients.create", ["Register an application", "Its secret is in this answer and in no other."], ONE_CLIENT), NEW_CLIENT_BODY, CHANGES),
    takes(on(of_all("PATCH", "/api/admin/clients/{id}", "admin.clients.change", ["Change an application", "Members left out stay. It counts at the next request."], ONE_CLIENT), &[ID]), CLIENT_CHANGE_BODY, CHANGES),
    on(of_all("DELETE", "/api/admin/clients/{id}", "admin.clients.delete", ["Delete an application", "Its tokens are refused by the next request."], NOTHING), &[ID]),
    on(of_all("POST", "/api/admin/clients/{id}/rotate", "admin.clients.rotate", ["Give a new secret", "Every secret from before is gone. The new one is in this answer and in no other."], ONE_CLIENT), &[ID]),
    takes(on(of_all("POST", "/api/admin/clients/{id}/secrets", "admin.clients.add_secret", ["Add a secret", "Besides those there are. It is in this answer and in no other."], ONE_CLIENT), &[ID]), NEW_SECRET_BODY, CHANGES),
    takes(on(of_all("POST", "/api/admin/clients/{id}/certificates", "admin.clients.add_certificate", ["Add a certificate", "The application may prove itself with its key."], ONE_CLIENT), &[ID]), NEW_CERTIFICATE_BODY, CHANGES),
    on(of_all("DELETE", "/api/admin/clients/{id}/credentials/{credential}", "admin.clients.remove_credential", ["Remove a credential", "A secret or a certificate."], ONE_CLIENT), &[ID, CREDENTIAL]),
    takes(on(of_all("PUT", "/api/admin/clients/{id}/device-groups", "admin.clients.limit", ["Limit an application to device groups", "It sees only their machines and what hangs on these."], ONE_CLIENT), &[ID]), LIMIT_BODY, CHANGES),

    of_all("GET", "/api/admin/inlets", "admin.inlets.list", ["List inlets", "The tenant's standing inlets, where shippers send telemetry."], ALL_INLETS),
    takes(of_all("POST", "/api/admin/inlets", "admin.inlets.create", ["Make an inlet", "Its key is in this answer and in no other."], ONE_INLET), NEW_INLET_BODY, CHANGES),
    on(of_all("GET", "/api/admin/inlets/{inlet}", "admin.inlets.show", ["Show an inlet", "One inlet."], ONE_INLET), &[INLET]),
    takes(on(of_all("PATCH", "/api/admin/inlets/{inlet}", "admin.inlets.change", ["Change an inlet", "Members left out stay. It counts at the next request."], ONE_INLET), &[INLET]), INLET_CHANGE_BODY, CHANGES),
    on(of_all("DELETE", "/api/admin/inlets/{inlet}", "admin.inlets.delete", ["Delete an inlet", "Its keys are refused by the next request; what came by it stays."], ONE_INLET), &[INLET]),
    takes(on(of_all("POST", "/api/admin/inlets/{inlet}/keys", "admin.inlets.add_key", ["Add a key", "Besides those there are, of which there may be four. It is in this answer and in no other."], ONE_INLET), &[INLET]), NEW_SECRET_BODY, CHANGES),
    on(of_all("DELETE", "/api/admin/inlets/{inlet}/keys/{key}", "admin.inlets.remove_key", ["Remove a key", "It is refused by the next request."], ONE_INLET), &[INLET, KEY_ID]),

    of_all("GET", "/api/admin/users", "admin.users.list", ["List users", "The tenant's users."], ALL_USERS),
    takes(of_all("POST", "/api/admin/users", "admin.users.create", ["Add a user", "A password that was made is in this answer and in no other."], ONE_USER), NEW_USER_BODY, CHANGES),
    takes(on(of_all("PATCH", "/api/admin/users/{user}", "admin.users.change", ["Change a user", "Members left out stay. It counts at the next request."], ONE_USER), &[USER]), USER_CHANGE_BODY, CHANGES),
    on(of_all("DELETE", "/api/admin/users/{user}", "admin.users.delete", ["Delete a user", "Their tokens are refused by the next request."], ONE_USER), &[USER]),
    takes(on(of_all("POST", "/api/admin/users/{user}/password", "admin.users.set_password", ["Set a password", "Tokens from before are refused. A password that was made is in this answer and in no other."], ONE_USER), &[USER]), NEW_PASSWORD_BODY, CHANGES),
    on(of_all("POST", "/api/admin/users/{user}/unlock", "admin.users.unlock", ["Unlock a user", "They need not wait any more after wrong passwords."], ONE_USER), &[USER]),
    on(of_all("POST", "/api/admin/users/{user}/sign-out", "admin.users.sign_out", ["Sign a user out", "Every token and session from before is refused."], ONE_USER), &[USER]),

    of_all("GET", "/api/admin/user-groups", "admin.user_groups.list", ["List user groups", "The tenant's user groups."], ALL_USER_GROUPS),
    takes(of_all("POST", "/api/admin/user-groups", "admin.user_groups.create", ["Make a user group", "A group without users."], ONE_USER_GROUP), NEW_USER_GROUP_BODY, CHANGES),
    takes(on(of_all("PATCH", "/api/admin/user-groups/{group}", "admin.user_groups.change", ["Change a user group", "Members left out stay."], ONE_USER_GROUP), &[GROUP]), USER_GROUP_CHANGE_BODY, CHANGES),
    on(of_all("DELETE", "/api/admin/user-groups/{group}", "admin.user_groups.delete", ["Delete a user group", "Roles and device groups do not name it any more."], ONE_USER_GROUP), &[GROUP]),

    of_all("GET", "/api/admin/device-groups", "admin.device_groups.list", ["List device groups", "By rank, the default group last."], ALL_DEVICE_GROUPS),
    takes(of_all("POST", "/api/admin/device-groups", "admin.device_groups.create", ["Make a device group", "Its machines move at one moment, before the answer."], ONE_DEVICE_GROUP), DEVICE_GROUP_CHANGE_BODY, CHANGES),
    takes(on(of_all("PATCH", "/api/admin/device-groups/{group}", "admin.device_groups.change", ["Change a device group", "Members left out stay. Machines move at one moment, before the answer."], ONE_DEVICE_GROUP), &[GROUP]), DEVICE_GROUP_CHANGE_BODY, CHANGES),
    on(of_all("DELETE", "/api/admin/device-groups/{group}", "admin.device_groups.delete", ["Delete a device group", "Its machines go where the other rules take them."], ONE_DEVICE_GROUP), &[GROUP]),
    takes(of_all("POST", "/api/admin/preview", "admin.device_groups.preview", ["Try a rule", "Which machines a rule alone would take. Changes nothing."], &[Answer { status: 200, about: "How many, and the first of them.", content: &[(JSON, Schema::Object(&PREVIEW))] }]), PREVIEW_BODY, &[BAD, BROKE_OFF, TOO_LARGE, PACKED]),

    of_all("GET", "/api/admin/machine-rules", "admin.machine_rules.list", ["List machine rules", "The rules by which machines are one, by id."], ALL_MACHINE_RULES),
    takes(of_all("POST", "/api/admin/machine-rules", "admin.machine_rules.create", ["Make a machine rule", "Machines are one by it before the answer, all at one moment."], ONE_MACHINE_RULE), MACHINE_RULE_CHANGE_BODY, CHANGES),
    takes(on(of_all("PATCH", "/api/admin/machine-rules/{rule}", "admin.machine_rules.change", ["Change a machine rule", "Members left out stay. It counts before the answer, for all machines at one moment."], ONE_MACHINE_RULE), &[RULE_KEY]), MACHINE_RULE_CHANGE_BODY, CHANGES),
    on(of_all("DELETE", "/api/admin/machine-rules/{rule}", "admin.machine_rules.delete", ["Delete a machine rule", "Machines that are one by it alone are several again, each as its source knows it."], ONE_MACHINE_RULE), &[RULE_KEY]),
    takes(of_all("POST", "/api/admin/joined-machines", "admin.joined_machines.list", ["List machines of several ids", "Which machines are one, of which ids, and by which rules. Changes nothing."], &[Answer { status: 200, about: "How many, and the first of them.", content: &[(JSON, Schema::Object(&JOINED))] }]), JOINED_BODY, &[BAD, GONE, BROKE_OFF, TOO_LARGE, PACKED]),
    takes(of_all("POST", "/api/admin/joined-machines/preview", "admin.joined_machines.preview", ["Try a machine rule", "Which machines would be one by it beside the other rules, and which would not and why. Changes nothing."], &[Answer { status: 200, about: "How many of each, and the first of them.", content: &[(JSON, Schema::Object(&JOIN_PREVIEW))] }]), JOIN_PREVIEW_BODY, &[BAD, GONE, BROKE_OFF, TOO_LARGE, PACKED]),

    takes(of_all("POST", "/api/admin/explain", "admin.explain", ["Explain a decision", "Whether somebody may make a request, and why."], &[Answer { status: 200, about: "What was decided, step by step.", content: &[(JSON, Schema::Object(&EXPLAINED))] }]), EXPLAIN_BODY, &[BAD, GONE, BROKE_OFF, TOO_LARGE, PACKED]),

    of_all("GET", "/api/admin/roles", "admin.roles.list", ["List roles", "The tenant's roles."], ALL_ROLES),
    takes(of_all("POST", "/api/admin/roles", "admin.roles.create", ["Make a role", "Permissions for the users of some user groups."], ONE_ROLE), ROLE_CHANGE_BODY, CHANGES),
    takes(on(of_all("PATCH", "/api/admin/roles/{role}", "admin.roles.change", ["Change a role", "Members left out stay. It counts at the next request."], ONE_ROLE), &[ROLE]), ROLE_CHANGE_BODY, CHANGES),
    on(of_all("DELETE", "/api/admin/roles/{role}", "admin.roles.delete", ["Delete a role", "Its users lose what it gave them at the next request."], ONE_ROLE), &[ROLE]),
];

const TEXT: Schema = Schema::Text;
const TEXTS: Schema = Schema::List(&Schema::Text);
const TEXTS_OR_NULL: Schema = Schema::OrNull(&TEXTS);
const TEXT_OR_NULL: Schema = Schema::OrNull(&Schema::Text);
const BOOL_OR_NULL: Schema = Schema::OrNull(&Schema::Bool);
const PERMISSIONS: Schema = Schema::List(&Schema::Object(&PERMISSION));
const NUMBER: Schema = Schema::Number(0, u32::MAX as u64);

const NAME: Property = always("name", TEXT, "Its name, no other's of the tenant.");
const DESCRIPTION: Property = always("description", TEXT, "What it is for.");
const TENANT_ID: Property = always("tenant_id", Schema::Guid, "Its tenant.");
const NEW_NAME: Property = maybe("name", TEXT_OR_NULL, "Its name.");
const NEW_DESCRIPTION: Property = maybe("description", TEXT_OR_NULL, "What it is for.");
const GIVE: Property = maybe("give", TEXTS, "User groups to give it to, by name or id.");
const TAKE: Property = maybe("take", TEXTS, "User groups to take it from, by name or id.");

#[rustfmt::skip]
mod objects {
    use super::*;

    pub(super) static TENANT: Object = Object::given("Tenant", "A tenant.", &[
        always("id", Schema::Guid, "Its id."),
        always("name", TEXT, "Its name."),
    ]);
    pub(super) static NEW_TENANT: Object = Object::sent("NewTenant", "A tenant to make.", &[
        always("name", TEXT, "Its name."),
        maybe("id", Schema::OrNull(&Schema::Guid), "Its id; without one, a random one."),
    ]);
    pub(super) static PERMISSION: Object = Object::given("Permission", "A permission.", &[
        always("value", TEXT, "As tokens have it."),
        always("display_name", TEXT, "As people read it."),
    ]);
    pub(super) static KEY: Object = Object::given("Key", "A key that signs tokens.", &[
        always("kid", TEXT, "Its id, as tokens have it."),
        always("state", Schema::OneOf(&["published", "signing", "retained", "revoked"]), "What becomes of it."),
        always("created", Schema::Time, "When it was made."),
        always("since", Schema::Time, "Since when it has been in this state."),
        maybe("until", Schema::Time, "When it goes, if it is retained."),
    ]);
    pub(super) static CLIENT: Object = Object::given("Client", "An application.", &[
        always("client_id", Schema::Guid, "Its id."),
        TENANT_ID,
        always("name", TEXT, "Its name."),
        always("enabled", Schema::Bool, "Whether its tokens count."),
        always("permissions", PERMISSIONS, "What it may do itself."),
        always("delegated", PERMISSIONS, "What it may do for users who sign in to it."),
        always("public", Schema::Bool, "Whether it signs users in without a secret."),
        always("redirect_uris", TEXTS, "Where users may be sent back to."),
        maybe("device_groups", TEXTS, "The only device groups that it sees; without, it sees every machine."),
        always("credentials", Schema::List(&Schema::Object(&CREDENTIAL_GIVEN)), "What it proves itself with."),
        maybe("secret", TEXT, "Only in the answer that made it."),
    ]);
    pub(super) static CREDENTIAL_GIVEN: Object = Object::given("Credential", "A secret or a certificate.", &[
        always("id", TEXT, "Its id."),
        always("kind", Schema::OneOf(&["secret", "certificate"]), "Which of the two."),
        maybe("thumbprint", TEXT, "A certificate's SHA-1."),
        always("created", Schema::Time, "When it was added."),
        maybe("expires", Schema::Time, "Until when it is good."),
    ]);
    pub(super) static NEW_CLIENT: Object = Object::sent("NewClient", "An application to register.", &[
        always("name", TEXT, "Its name."),
        maybe("permissions", TEXTS, "What it may do itself."),
        maybe("delegated", TEXTS, "What it may do for users who sign in to it."),
        maybe("public", Schema::Bool, "Whether it signs users in without a secret."),
        maybe("redirect_uris", TEXTS, "Where users may be sent back to."),
    ]);
    pub(super) static CLIENT_CHANGE: Object = Object::sent("ClientChange", "A change of an application.", &[
        NEW_NAME,
        maybe("enabled", BOOL_OR_NULL, "Whether its tokens count."),
        maybe("permissions", TEXTS_OR_NULL, "What it may do itself."),
        maybe("delegated", TEXTS_OR_NULL, "What it may do for users who sign in to it."),
        maybe("public", BOOL_OR_NULL, "Whether it signs users in without a secret."),
        maybe("redirect_uris", TEXTS_OR_NULL, "Where users may be sent back to."),
    ]);
    pub(super) static INLET_GIVEN: Object = Object::given("Inlet", "Where shippers send telemetry.", &[
        always("id", Schema::Guid, "Its id, which goes with its keys."),
        TENANT_ID,
        NAME,
        always("enabled", Schema::Bool, "Whether it takes anything."),
        maybe("format", TEXT, "The format or mapping of all that it takes; without, each record tells."),
        maybe("namespace", TEXT, "Of its machines and alerts, whose ids are then nobody else's; without, it may speak of any."),
        always("created", Schema::Time, "When it was made."),
        always("keys", Schema::List(&Schema::Object(&INLET_KEY)), "What its shippers prove themselves with."),
        maybe("secret", TEXT, "The new key itself: only in the answer that made it."),
    ]);
    static INLET_KEY: Object = Object::given("InletKey", "A key of an inlet.", &[
        always("id", Schema::Guid, "Its id."),
        always("created", Schema::Time, "When it was made."),
        maybe("expires", Schema::Time, "Until when it is good."),
        maybe("last_used", Schema::Time, "When something came with it last; after a restart up to ten minutes out of date."),
    ]);
    pub(super) static NEW_INLET: Object = Object::sent("NewInlet", "An inlet to make.", &[
        always("name", TEXT, "Its name, without a colon."),
        maybe("format", TEXT_OR_NULL, "The format or mapping of all that it takes."),
        maybe("namespace", TEXT_OR_NULL, "Small letters, digits and dashes, a letter first, at most 32."),
        maybe("expires", TEXT_OR_NULL, "Until when its first key is good."),
    ]);
    pub(super) static INLET_CHANGE: Object = Object::sent("InletChange", "A change of an inlet.", &[
        NEW_NAME,
        maybe("enabled", BOOL_OR_NULL, "Whether it takes anything."),
    ]);
    pub(super) static NEW_SECRET: Object = Object::sent("NewSecret", "A secret or a key to be made.", &[
        maybe("expires", TEXT_OR_NULL, "Until when it is good."),
    ]);
    pub(super) static NEW_CERTIFICATE: Object = Object::sent("NewCertificate", "A certificate to be registered.", &[
        always("certificate", TEXT, "As its file has it, in base64."),
    ]);
    pub(super) static LIMIT: Object = Object::sent("Limit", "To which device groups an application is limited.", &[
        maybe("device_groups", TEXTS_OR_NULL, "By name or id; `null`: it sees every machine."),
    ]);
    pub(super) static USER_GIVEN: Object = Object::given("AdminUser", "A user who can sign in.", &[
        always("id", Schema::Guid, "Their id."),
        TENANT_ID,
        always("name", TEXT, "What they sign in with."),
        always("display_name", TEXT, "What they are called."),
        always("enabled", Schema::Bool, "Whether their tokens count."),
        always("has_password", Schema::Bool, "Whether they can sign in here."),
        maybe("locked_until", Schema::Time, "Until when no password of theirs is looked at."),
        always("groups", TEXTS, "The names of their user groups."),
        always("roles", TEXTS, "The names of the roles that these give them."),
        always("created", Schema::Time, "When they were added."),
        maybe("password", TEXT, "Only in the answer that made it."),
    ]);
    pub(super) static NEW_USER: Object = Object::sent("NewUser", "A user to add.", &[
        always("name", TEXT, "What they sign in with."),
        maybe("display_name", TEXT, "What they are called."),
        maybe("groups", TEXTS, "User groups, by name or id."),
        maybe("password", TEXT_OR_NULL, "Without one, one is made."),
    ]);
    pub(super) static USER_CHANGE: Object = Object::sent("UserChange", "A change of a user.", &[
        maybe("display_name", TEXT_OR_NULL, "What they are called."),
        maybe("enabled", BOOL_OR_NULL, "Whether their tokens count."),
        maybe("join", TEXTS, "User groups to add them to, by name or id."),
        maybe("leave", TEXTS, "User groups to take them from, by name or id."),
    ]);
    pub(super) static NEW_PASSWORD: Object = Object::sent("NewPassword", "A password to be set.", &[
        maybe("password", TEXT_OR_NULL, "Without one, one is made."),
    ]);
    pub(super) static USER_GROUP: Object = Object::given("UserGroup", "A user group.", &[
        always("id", Schema::Guid, "Its id."),
        TENANT_ID,
        NAME,
        DESCRIPTION,
        always("users", TEXTS, "The names of its users."),
        always("roles", TEXTS, "The names of the roles that it gives."),
    ]);
    pub(super) static NEW_USER_GROUP: Object = Object::sent("NewUserGroup", "A user group to make.", &[
        NAME,
        NEW_DESCRIPTION,
    ]);
    pub(super) static USER_GROUP_CHANGE: Object = Object::sent("UserGroupChange", "A change of a user group.", &[
        NEW_NAME,
        NEW_DESCRIPTION,
    ]);
    pub(super) static ROLE_GIVEN: Object = Object::given("Role", "A role.", &[
        always("id", Schema::Guid, "Its id."),
        TENANT_ID,
        NAME,
        DESCRIPTION,
        always("built_in", Schema::Bool, "Whether it is the administrator role, which stays."),
        always("permissions", PERMISSIONS, "What its users may do."),
        always("groups", TEXTS, "The names of the user groups that have it."),
    ]);
    pub(super) static ROLE_CHANGE: Object = Object::sent("RoleChange", "A role to make, or its change.", &[
        NEW_NAME,
        NEW_DESCRIPTION,
        maybe("permissions", TEXTS_OR_NULL, "What its users may do."),
        GIVE,
        TAKE,
    ]);
    pub(super) static DEVICE_GROUP: Object = Object::given("DeviceGroup", "A device group.", &[
        always("id", NUMBER, "Its id."),
        NAME,
        DESCRIPTION,
        maybe("rank", NUMBER, "From 1, the highest; the default group has none."),
        always("remediation", TEXT, "Kept and shown; nothing here remediates."),
        always("rule", Schema::Object(&RULE), "Which machines it takes."),
        always("groups", TEXTS, "The names of the user groups that see it; none: everybody does."),
        always("machines", COUNT, "How many machines are in it."),
        maybe("moved", COUNT, "How many are in another group since the change that this answers."),
    ]);
    pub(super) static DEVICE_GROUP_CHANGE: Object = Object::sent("DeviceGroupChange", "A device group to make, or its change.", &[
        NEW_NAME,
        NEW_DESCRIPTION,
        maybe("remediation", TEXT_OR_NULL, "Kept and shown; nothing here remediates."),
        maybe("rule", Schema::OrNull(&Schema::Object(&RULE)), "Which machines it takes."),
        maybe("rank", Schema::OrNull(&NUMBER), "From 1, the highest."),
        GIVE,
        TAKE,
        maybe("everybody", Schema::Bool, "Everybody is to see it."),
    ]);
    const ROWS: Schema = Schema::List(&Schema::Object(&ROW));
    pub(super) static RULE: Object = Object::sent("DeviceRule", "Which machines a device group takes: rows of one property are alternatives, every property with rows must be met.", &[
        maybe("name", ROWS, "The computer's name, whole or before its first dot."),
        maybe("domain", ROWS, "What stands after the first dot of the computer's name."),
        maybe("tag", ROWS, "Any one of the machine's tags."),
        maybe("os", TEXTS, "The platform is one of these."),
        maybe("source_group", ROWS, "The group that telemetry names."),
    ]);
    static ROW: Object = Object::sent("DeviceRuleRow", "One row of a rule.", &[
        always("operator", Schema::OneOf(&["starts_with", "ends_with", "equals", "contains"]), "How it is compared."),
        always("value", Schema::TextOf(1, 200), "With what, whatever the case."),
    ]);
    pub(super) static PREVIEW_ASKED: Object = Object::sent("PreviewAsked", "A rule to try.", &[
        always("rule", Schema::Object(&RULE), "The rule."),
        maybe("top", NUMBER, "Machines named at most; 10 if it is not given."),
    ]);
    pub(super) static PREVIEW: Object = Object::given("Preview", "What a rule alone would take.", &[
        always("matching", COUNT, "How many machines."),
        always("machines", Schema::List(&Schema::Object(&PREVIEWED)), "The first of them by id."),
    ]);
    static PREVIEWED: Object = Object::given("PreviewedMachine", "A machine that a rule would take.", &[
        always("id", TEXT, "Its id."),
        always("name", TEXT_OR_NULL, "Its name."),
    ]);
    pub(super) static MACHINE_RULE: Object = Object::given("MachineRule", "A rule by which machines are one.", &[
        always("id", NUMBER, "Its id."),
        NAME,
        DESCRIPTION,
        always("rule", Schema::Object(&SAME), "What it says."),
        always("machines", COUNT, "How many machines are one by it, or by it and others."),
    ]);
    pub(super) static MACHINE_RULE_CHANGE: Object = Object::sent("MachineRuleChange", "A machine rule to make, or its change.", &[
        NEW_NAME,
        NEW_DESCRIPTION,
        maybe("rule", Schema::OrNull(&Schema::Object(&SAME)), "What it says."),
    ]);
    static SAME: Object = Object::sent("MachineRuleSays", "Which machines are one: exactly one of the two.", &[
        maybe("machines", Schema::Object(&SAME_MACHINES), "These ids are one machine."),
        maybe("names", Schema::Object(&SAME_NAMES), "Machines that one name stands for are one."),
    ]);
    static SAME_MACHINES: Object = Object::sent("SameMachines", "Ids that are one machine.", &[
        always("ids", TEXTS, "Two to sixteen, of which none is in another rule."),
        maybe("canonical", TEXT_OR_NULL, "The one of them by which the machine goes; without, Defender's, else the smallest."),
    ]);
    static SAME_NAMES: Object = Object::sent("SameNames", "Machines with one full name that different kinds of source know, where there is one of each kind. None is of the namespace of an inlet.", &[
        maybe("suffix", TEXT_OR_NULL, "Only names in this domain."),
        maybe("short", Schema::Bool, "A name without a domain stands for the one machine whose full name begins so."),
    ]);
    pub(super) static JOINED_ASKED: Object = Object::sent("JoinedMachinesAsked", "Which machines of several ids.", &[
        maybe("machine", TEXT_OR_NULL, "Only this one, by any of its ids or by name."),
        maybe("rule", TEXT_OR_NULL, "Only those by this rule, by name or id."),
        maybe("top", NUMBER, "Machines told at most; 10 if it is not given."),
    ]);
    pub(super) static JOINED: Object = Object::given("JoinedMachines", "Machines of several ids.", &[
        always("matching", COUNT, "How many machines."),
        always("machines", Schema::List(&Schema::Object(&JOINED_MACHINE)), "The first of them by id."),
    ]);
    static JOINED_MACHINE: Object = Object::given("JoinedMachine", "A machine of several ids.", &[
        always("id", TEXT, "The id by which it goes."),
        always("rules", TEXTS, "The names of the rules that made it."),
        always("members", Schema::List(&Schema::Object(&MEMBER)), "What it is made of, by id."),
    ]);
    static MEMBER: Object = Object::given("MachineMember", "A machine as one source knows it.", &[
        always("id", TEXT, "Its id there."),
        always("name", TEXT_OR_NULL, "Its name there."),
        always("kind", Schema::OneOf(&["defender", "agent", "name"]), "The kind of source: Defender, another with an id of its own, one that knows the name only."),
        always("last_seen", Schema::OrNull(&Schema::Time), "When it was last heard of there."),
    ]);
    pub(super) static JOIN_PREVIEW_ASKED: Object = Object::sent("MachineRulePreviewAsked", "A machine rule to try.", &[
        always("rule", Schema::Object(&SAME), "What it says."),
        maybe("instead_of", TEXT_OR_NULL, "The rule in whose place it would be, by name or id."),
        maybe("top", NUMBER, "Machines told at most, and names of which nothing comes; 10 if it is not given."),
    ]);
    pub(super) static JOIN_PREVIEW: Object = Object::given("MachineRulePreview", "What a rule would do beside the others.", &[
        always("matching", COUNT, "How many machines would be one by it, or by it and others."),
        always("machines", Schema::List(&Schema::Object(&JOINED_MACHINE)), "The first of them by id."),
        always("refused", COUNT, "For how many names it would join nothing though it takes them."),
        always("refusals", Schema::List(&Schema::Object(&NOT_JOINED)), "The first of these by name."),
        always("unknown", TEXTS, "Ids that no machine has now."),
    ]);
    static NOT_JOINED: Object = Object::given("NotJoined", "Machines of one name that would not be one.", &[
        always("name", TEXT, "The name."),
        always("why", TEXT, "Why not."),
        always("machines", Schema::List(&Schema::Object(&MEMBER)), "They, by id; of too many some."),
    ]);
    pub(super) static EXPLAIN_ASKED: Object = Object::sent("ExplainAsked", "Who would make which request.", &[
        always("who", TEXT, "A client id, or a user by name or id."),
        always("method", TEXT, "The method, such as GET."),
        always("path", TEXT, "The path or the URL."),
        maybe("through", TEXT_OR_NULL, "The application that a user signed in to; without one, such that it has every permission."),
    ]);
    pub(super) static EXPLAINED: Object = Object::given("Explained", "What was decided.", &[
        always("allowed", Schema::Bool, "Whether they may."),
        always("because", TEXTS, "What was looked at, in the order in which a request meets it; the last one decides."),
    ]);
    const COUNT: Schema = Schema::Number(0, crate::http::page::MAX_NUMBER);
}
use objects::*;
