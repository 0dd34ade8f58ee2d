//! The objects of administration as they go over the wire, both ways. What is `None` in a change stays.

use pintle_store::DeviceRule;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

/// Which tenant, for the owner of the data folder.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct OfTenant {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
}

/// A tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A tenant to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    pub(crate) name: String,
    /// A GUID; without one, a random one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

/// An application to register.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewClient {
    pub(crate) name: String,
    /// What it may do itself.
    #[serde(default)]
    pub(crate) permissions: Vec<String>,
    /// What it may do for users who sign in to it.
    #[serde(default)]
    pub(crate) delegated: Vec<String>,
    /// Whether it signs users in without a secret.
    #[serde(default)]
    pub(crate) public: bool,
    /// Where users may be sent back to.
    #[serde(default)]
    pub(crate) redirect_uris: Vec<String>,
}

/// A change of an application.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) permissions: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delegated: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redirect_uris: Option<Vec<String>>,
}

/// To which device groups an application is limited.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    /// By name or id; `None`: it sees every machine.
    pub(crate) device_groups: Option<Vec<String>>,
}

/// An application.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) client_id: String,
    pub(crate) tenant_id: String,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) permissions: Vec<Permission>,
    pub(crate) delegated: Vec<Permission>,
    pub(crate) public: bool,
    pub(crate) redirect_uris: Vec<String>,
    /// The names of the only device groups that it sees; without, it sees every machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device_groups: Option<Vec<String>>,
    /// What it proves itself with.
    pub(crate) credentials: Vec<Credential>,
    /// Only in the answer that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
}

/// A secret or a certificate of an application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Credential {
    pub(crate) id: String,
    /// `secret` or `certificate`.
    pub(crate) kind: String,
    /// A certificate's SHA-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) thumbprint: Option<String>,
    pub(crate) created: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
}

/// A secret to be made.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSecret {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
}

/// A certificate to be registered, as its file has it, in base64.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCertificate {
    pub(crate) certificate: String,
}

/// An inlet to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInlet {
    pub(crate) name: String,
    /// The format or mapping of all that it takes; without one, each record tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<String>,
    /// Without one, it may speak of any machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    /// When its first key ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
}

/// A change of an inlet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InletChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
}

/// An inlet.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Inlet {
    pub(crate) id: String,
    pub(crate) tenant_id: String,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    pub(crate) created: String,
    pub(crate) keys: Vec<InletKey>,
    /// The new key itself: only in the answer that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
}

/// A key of an inlet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InletKey {
    pub(crate) id: String,
    pub(crate) created: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_used: Option<String>,
}

/// A permission, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Permission {
    pub(crate) value: String,
    pub(crate) display_name: String,
}

/// A key that signs tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) kid: String,
    /// `published`, `signing`, `retained` or `revoked`.
    pub(crate) state: String,
    pub(crate) created: String,
    /// Since when it has been in this state.
    pub(crate) since: String,
    /// When it goes, if it is retained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
}

/// A user to add.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// What they sign in with.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) display_name: String,
    /// User groups, by name or id.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// Without one, they get one that nobody can guess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
}

/// A change of a user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    /// User groups to add them to.
    #[serde(default)]
    pub(crate) join: Vec<String>,
    /// User groups to take them from.
    #[serde(default)]
    pub(crate) leave: Vec<String>,
}

/// A password to be set; without one, one is made.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
}

/// A user.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) tenant_id: String,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) enabled: bool,
    /// Whether they can sign in here.
    pub(crate) has_password: bool,
    /// Until when no password of theirs is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) locked_until: Option<String>,
    /// The names of their user groups.
    pub(crate) groups: Vec<String>,
    /// The names of the roles these give them.
    pub(crate) roles: Vec<String>,
    pub(crate) created: String,
    /// Only in the answer that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
}

/// A user group to make, or its change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserGroupChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
}

/// A user group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UserGroup {
    pub(crate) id: String,
    pub(crate) tenant_id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// The names of its users.
    pub(crate) users: Vec<String>,
    /// The names of the roles that it gives.
    pub(crate) roles: Vec<String>,
}

/// A role to make, or its change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) permissions: Option<Vec<String>>,
    /// User groups to give it to.
    #[serde(default)]
    pub(crate) give: Vec<String>,
    /// User groups to take it from.
    #[serde(default)]
    pub(crate) take: Vec<String>,
}

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) id: String,
    pub(crate) tenant_id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) built_in: bool,
    pub(crate) permissions: Vec<Permission>,
    /// The names of the user groups that have it.
    pub(crate) groups: Vec<String>,
}

/// A device group to make, or its change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceGroupChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remediation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<DeviceRule>,
    /// From 1, the highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rank: Option<usize>,
    /// User groups that are to see it.
    #[serde(default)]
    pub(crate) give: Vec<String>,
    /// User groups that are not to see it any more.
    #[serde(default)]
    pub(crate) take: Vec<String>,
    /// Everybody is to see it.
    #[serde(default)]
    pub(crate) everybody: bool,
}

/// A device group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DeviceGroup {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) description: String,
    /// From 1, the highest; the default group has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rank: Option<usize>,
    pub(crate) remediation: String,
    pub(crate) rule: DeviceRule,
    /// The names of the user groups that see it; none: everybody does.
    pub(crate) groups: Vec<String>,
    /// How many machines are in it.
    pub(crate) machines: usize,
    /// How many are in another group since the change that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moved: Option<usize>,
}

/// A rule to try.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewAsked {
    pub(crate) rule: DeviceRule,
    /// Machines named at most.
    #[serde(default = "ten", deserialize_with = "whole")]
    pub(crate) top: usize,
}

fn ten() -> usize {
    10
}

/// A whole number of 32 bits, which JSON may write with a fraction of zero.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = f64::deserialize(deserializer)?;
    let is_whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    let wanted =
        || D::Error::invalid_value(Unexpected::Float(number), &"a whole number from 0 to 4294967295");
    // Within its range and without a fraction, it is written as a whole number.
    if is_whole { format!("{number:.0}").parse().map_err(|_| wanted()) } else { Err(wanted()) }
}

/// Which machines a rule alone would take.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Preview {
    pub(crate) matching: usize,
    /// The first of them by id.
    pub(crate) machines: Vec<PreviewedMachine>,
}

/// A machine that a rule would take.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PreviewedMachine {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
}

/// Whether somebody may make a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainAsked {
    /// A client id, or a user by name or id.
    pub(crate) who: String,
    pub(crate) method: String,
    pub(crate) path: String,
    /// The application that a user signed in to; without one, such that it has every permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) through: Option<String>,
}

/// The answer, step by step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Explained {
    pub(crate) allowed: bool,
    /// What was looked at, in the order in which a request meets it; the last one decides.
    pub(crate) because: Vec<String>,
}

/// A rule by which machines are one to make, or its change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachineRuleChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<pintle_store::MachineRule>,
}

/// A rule by which machines are one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MachineRule {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) rule: pintle_store::MachineRule,
    /// How many machines are one by it, or by it and others.
    pub(crate) machines: usize,
}

/// Which machines of several ids are asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JoinedAsked {
    /// Only this one, by an id or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) machine: Option<String>,
    /// Only those by this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// Machines told at most.
    #[serde(default = "ten", deserialize_with = "whole")]
    pub(crate) top: usize,
}

/// Machines of several ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Joined {
    pub(crate) matching: usize,
    /// The first of them by id.
    pub(crate) machines: Vec<JoinedMachine>,
}

/// A machine of several ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JoinedMachine {
    /// The id by which it goes.
    pub(crate) id: String,
    /// The names of the rules that made it.
    pub(crate) rules: Vec<String>,
    /// What it is made of, by id.
    pub(crate) members: Vec<MachineMember>,
}

/// A machine as one source knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MachineMember {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) kind: pintle_store::MachineKind,
    pub(crate) last_seen: Option<String>,
}

/// A rule by which machines would be one, to try.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JoinPreviewAsked {
    pub(crate) rule: pintle_store::MachineRule,
    /// The rule in whose place it would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instead_of: Option<String>,
    /// Machines told at most, and names of which nothing comes.
    #[serde(default = "ten", deserialize_with = "whole")]
    pub(crate) top: usize,
}

/// What a rule would do beside the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JoinPreview {
    pub(crate) matching: usize,
    /// The first of those that would be one.
    pub(crate) machines: Vec<JoinedMachine>,
    /// For how many names nothing would come of it.
    pub(crate) refused: usize,
    /// The first of these.
    pub(crate) refusals: Vec<NotJoined>,
    /// Ids that no machine has now.
    pub(crate) unknown: Vec<String>,
}

/// Machines of one name that would not be one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NotJoined {
    pub(crate) name: String,
    pub(crate) why: String,
    /// They, by id; of too many some.
    pub(crate) machines: Vec<MachineMember>,
}
