//! What a caller may do at this moment: what the token says, less what was taken from the application,
//! the user or their roles since it was issued. Everybody who decides about a request asks here.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pintle_model::TenantId;
use uuid::Uuid;

use super::application::{Application, ApplicationQuota};
use super::control::{Control, Held, Moment};
use super::outside::{OutsideSubject, OutsideVerified};
use super::permission::{Permission, Permissions};
use super::role::RolePermission;
use super::token::{Refusal, Subject, Verified};
use super::user::User;
use crate::audit::Actor;

/// What a caller may do now.
#[derive(Clone, Debug)]
pub struct Rights {
    /// Whose data it is about.
    pub tenant: TenantId,
    /// Who calls.
    pub who: Who,
    /// An application's permissions, or those that it has for a user.
    pub permissions: Permissions,
    /// What a user's roles give, `None` for an application of its own.
    pub held: Option<Held>,
    /// The device groups whose machines they see; `None`: every machine.
    pub sees: Option<BTreeSet<u32>>,
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Who {
    /// The application, by which calls are counted.
    pub application: Uuid,
    /// What applies to it instead of the configured quota.
    pub quota: ApplicationQuota,
    /// The application's name.
    pub application_name: String,
    /// The id and the name of the user for whom it calls.
    pub user: Option<(String, String)>,
    /// The outside issuer that vouches for them.
    pub issuer: Option<String>,
}

/// Why a caller may not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The application has none of these permissions.
    Roles(&'static [Permission], Permissions),
    /// The token, or the application for its users, has none of these scopes.
    Scopes(&'static [Permission], Permissions),
    /// No role of the user has this.
    RolePermission(RolePermission),
    /// No user may, whatever their roles.
    Users,
}

impl Rights {
    /// What the caller with this token may do.
    pub fn now(control: &Control, verified: &Verified) -> Result<Rights, Refusal> {
        let (tenant, moment) = (verified.tenant, control.moment());
        let enabled = |id: Uuid| moment.application(tenant, id).ok_or(Refusal::Application);
        match &verified.subject {
            Subject::Application(id, roles) => Ok(Rights::of_application(&*enabled(*id)?, *roles)),
            Subject::User { user, application, scopes, epoch } => {
                let application = enabled(*application)?;
                let user = moment.user(tenant, *user, *epoch).ok_or(Refusal::User)?;
                Ok(Rights::of_user(&moment, &user, &application, *scopes))
            }
        }
    }

    /// What an application may do itself.
    pub fn of_application(application: &Application, roles: Permissions) -> Rights {
        Rights {
            tenant: application.tenant,
            permissions: roles.intersection(application.permissions),
            who: Who::application(application),
            held: None,
            // Device groups do not narrow application tokens elsewhere; here an administrator can.
            sees: application.device_groups.clone(),
        }
    }

    /// What a user may do through an application.
    pub fn of_user(
        moment: &Moment<'_>,
        user: &User,
        application: &Application,
        scopes: Permissions,
    ) -> Rights {
        let user_named = Some((user.id.to_string(), user.name.clone()));
        let who = Who { user: user_named, ..Who::application(application) };
        let permissions = scopes.intersection(application.delegated);
        Rights::of_groups(moment, user.tenant, who, permissions, &user.user_groups)
    }

    /// What whoever an outside issuer vouches for may do.
    pub fn of_outside(moment: &Moment<'_>, verified: OutsideVerified) -> Rights {
        let (tenant, application, issuer) = (verified.tenant, verified.quota_id(), verified.issuer);
        let quota = ApplicationQuota::Configured;
        let who = |name: String, user| Who {
            application,
            quota,
            application_name: name,
            user,
            issuer: Some(issuer),
        };
        match verified.subject {
            OutsideSubject::Application { id, permissions } => {
                Rights { tenant, who: who(id, None), permissions, held: None, sees: None }
            }
            OutsideSubject::User { id, name, scopes, user_groups } => {
                let groups = moment.user_groups(tenant, &user_groups);
                let who = who(application.to_string(), Some((id, name)));
                Rights::of_groups(moment, tenant, who, scopes, &groups)
            }
        }
    }

    /// What members of some user groups may do with these scopes.
    pub(crate) fn of_groups(
        moment: &Moment<'_>,
        tenant: TenantId,
        who: Who,
        permissions: Permissions,
        groups: &BTreeSet<Uuid>,
    ) -> Rights {
        let held = moment.held_by(tenant, groups);
        let sees = if held.is_administrator { None } else { moment.visible_groups(tenant, groups) };
        Rights { tenant, who, permissions, held: Some(held), sees }
    }

    /// Whether the caller has one of these permissions, and a user this one by a role besides. Where no
    /// permission is named everybody may who could be told from nobody.
    pub fn may(
        &self,
        permissions: &'static [Permission],
        role: Option<RolePermission>,
    ) -> Result<(), Missing> {
        if permissions.is_empty() {
            return Ok(());
        }
        let has_one = self.permissions.contains_any(permissions);
        let Some(held) = &self.held else {
            return if has_one { Ok(()) } else { Err(Missing::Roles(permissions, self.permissions)) };
        };
        let role = role.ok_or(Missing::Users)?;
        if !has_one {
            return Err(Missing::Scopes(permissions, self.permissions));
        }
        if !held.permissions.contains(&role) {
            return Err(Missing::RolePermission(role));
        }
        Ok(())
    }
}

impl Who {
    /// As the audit log names them.
    pub fn actor(&self, address: Option<IpAddr>) -> Actor {
        let actor = match (&self.issuer, &self.user) {
            (Some(issuer), Some((id, name))) => Actor::outside(format!("{issuer}/{id}"), name),
            (Some(issuer), None) => Actor::outside(format!("{issuer}/{}", self.application_name), ""),
            (None, Some((id, name))) => Actor::user(id, name),
            (None, None) => Actor::application(self.application, &self.application_name),
        };
        actor.from_address(address)
    }

    /// A user with an application that nobody named.
    pub(crate) fn unknown_application(user: &User) -> Who {
        Who {
            application: Uuid::nil(),
            quota: ApplicationQuota::Configured,
            application_name: String::new(),
            user: Some((user.id.to_string(), user.name.clone())),
            issuer: None,
        }
    }

    fn application(application: &Application) -> Who {
        Who {
            application: application.id,
            quota: application.quota,
            application_name: application.name.clone(),
            user: None,
            issuer: None,
        }
    }
}
