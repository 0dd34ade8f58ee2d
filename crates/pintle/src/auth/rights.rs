//! What a caller may do at this moment: what the token says, less what was taken from the application,
//! the user or their roles since it was issued. Everybody who decides about a request asks here.

use std::net::IpAddr;
use std::sync::Arc;

use pintle_model::TenantId;
use uuid::Uuid;

use super::application::{Application, ApplicationQuota};
use super::control::{Control, Held};
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
    /// The user for whom it calls.
    pub user: Option<(Uuid, String)>,
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
        let tenant = verified.tenant;
        match &verified.subject {
            Subject::Application(id, roles) => {
                let application = enabled(control, tenant, *id)?;
                Ok(Rights {
                    tenant,
                    permissions: roles.intersection(application.permissions),
                    who: Who::application(&application),
                    held: None,
                })
            }
            Subject::User { user, application, scopes } => {
                let application = enabled(control, tenant, *application)?;
                let user = control.user_now(tenant, *user, verified.issued).ok_or(Refusal::User)?;
                Ok(Rights::of_user(control, &user, &application, *scopes))
            }
        }
    }

    /// What a user may do through an application.
    pub fn of_user(control: &Control, user: &User, application: &Application, scopes: Permissions) -> Rights {
        let who = Who { user: Some((user.id, user.name.clone())), ..Who::application(application) };
        Rights {
            tenant: user.tenant,
            permissions: scopes.intersection(application.delegated),
            who,
            held: Some(control.held_by(user.tenant, &user.user_groups)),
        }
    }

    /// Whether the caller has one of these permissions, and a user this one by a role besides.
    pub fn may(
        &self,
        permissions: &'static [Permission],
        role: Option<RolePermission>,
    ) -> Result<(), Missing> {
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
        let actor = match &self.user {
            Some((id, name)) => Actor::user(id, name),
            None => Actor::application(self.application, &self.application_name),
        };
        actor.from_address(address)
    }

    fn application(application: &Application) -> Who {
        Who {
            application: application.id,
            quota: application.quota,
            application_name: application.name.clone(),
            user: None,
        }
    }
}

fn enabled(control: &Control, tenant: TenantId, id: Uuid) -> Result<Arc<Application>, Refusal> {
    let application = control.application(id);
    application
        .filter(|application| application.enabled && application.tenant == tenant)
        .ok_or(Refusal::Application)
}
