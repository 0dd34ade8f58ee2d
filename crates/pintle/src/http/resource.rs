//! What answers are made of: the sets of entities, and the statistics, as `@odata.context` names them.

use pintle_model::{Shape, shapes};

/// A kind of thing that answers show.
pub trait Resource: Send + Sync + 'static {
    /// What stands behind `$metadata#`: the name of an entity set, or of a type that is in none.
    const CONTEXT: &'static str;
    /// Its members and the name of its type, by which `$select` chooses; `None`: it does not apply.
    const SELECTABLE: Option<(&'static Shape, &'static str)>;
}

macro_rules! resources {
    ($($(#[$meta:meta])* $name:ident $context:literal $selectable:expr;)*) => {
        $(
            $(#[$meta])*
            pub struct $name;

            impl Resource for $name {
                const CONTEXT: &'static str = $context;
                const SELECTABLE: Option<(&'static Shape, &'static str)> = $selectable;
            }
        )*
    };
}

resources! {
    /// Alerts.
    Alerts "Alerts" Some((&shapes::alert::ASKABLE, "microsoft.windowsDefenderATP.api.Alert"));
    /// Machines.
    Machines "Machines" Some((&shapes::machine::SHAPE, "microsoft.windowsDefenderATP.api.Machine"));
    /// Files.
    Files "Files" Some((&shapes::file::SHAPE, "microsoft.windowsDefenderATP.api.File"));
    /// Domains.
    Domains "Domains" Some((&shapes::domain::SHAPE, "microsoft.windowsDefenderATP.api.Domain"));
    /// IP addresses.
    Ips "Ips" Some((&shapes::ip::SHAPE, "microsoft.windowsDefenderATP.api.Ip"));
    /// Users.
    Users "Users" Some((&shapes::user::SHAPE, "microsoft.windowsDefenderATP.api.User"));
    /// How common a domain is.
    InOrgDomainStats "microsoft.windowsDefenderATP.api.InOrgDomainStats" None;
    /// How common an IP address is.
    InOrgIPStats "microsoft.windowsDefenderATP.api.InOrgIPStats" None;
    /// How common a file is.
    InOrgFileStats "microsoft.windowsDefenderATP.api.InOrgFileStats" None;
}
