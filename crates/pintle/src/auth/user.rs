//! The users of a tenant that have no identity provider of their own, and the groups they are in.

use std::collections::BTreeSet;

use pintle_model::{TenantId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::password::PasswordHash;

/// A person. The serialised form is the file's, with the hash of the password: show its fields instead.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    /// The `oid` and `sub` of their tokens.
    pub id: Uuid,
    /// Their tenant.
    pub tenant: TenantId,
    /// What they sign in with, the `upn` of their tokens; no other user's of the tenant, whatever its case.
    pub name: String,
    /// Their name, for people.
    pub display_name: String,
    /// Whether they may sign in and use tokens.
    pub enabled: bool,
    /// The user groups they are in.
    pub user_groups: BTreeSet<Uuid>,
    /// When they were added.
    pub created: Time,
    /// `None`: they cannot sign in here.
    pub(super) password: Option<PasswordHash>,
    /// Only tokens of this epoch are good: another one begins with every new password, whenever they are
    /// disabled, and when they are signed out.
    #[serde(default)]
    pub(super) epoch: u64,
}

impl User {
    /// Of which epoch their tokens have to be.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether there is a password to sign in with.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }
}

/// A group of users, to which roles and device groups are given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserGroup {
    /// Its id.
    pub id: Uuid,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name, no other user group's of the tenant.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
}

/// What [`super::control::Control::create_user`] makes.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Their tenant.
    pub tenant: TenantId,
    /// What they sign in with.
    pub name: String,
    /// Their name, for people; empty: the other one.
    pub display_name: String,
    /// The user groups they are in, by name or id.
    pub user_groups: Vec<String>,
}
