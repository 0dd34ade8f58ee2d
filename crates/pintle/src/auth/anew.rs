//! Applications and inlets whose secrets cannot be checked any more, since the pepper is not there: after
//! a restore without the secrets of the backup.

use std::path::Path;

use serde_json::Value;

use super::Error;
use super::secret::Pepper;
use crate::private_file;

/// Makes a new pepper for a data folder that nobody has open, and drops what is kept of the secrets of
/// applications and of the keys of inlets, of which none fits any more. Everything else about them stays. Returns how many secrets went.
pub(crate) fn without_secrets(folder: &Path) -> Result<usize, Error> {
    let path = folder.join("control.json");
    let Some(bytes) = private_file::read(&path).map_err(Error::io("read", &path))? else { return Ok(0) };
    let damaged = |error: serde_json::Error| Error::damaged(&path, error);
    let mut control: Value = serde_json::from_slice(&bytes).map_err(damaged)?;
    let mut dropped = 0;
    for (kind, secrets) in [("applications", "secrets"), ("inlets", "keys")] {
        let all = control.get_mut(kind).and_then(Value::as_array_mut);
        for one in all.into_iter().flatten() {
            if let Some(Value::Array(secrets)) = one.get_mut(secrets) {
                dropped += secrets.len();
                secrets.clear();
            }
        }
    }
    let bytes = serde_json::to_vec_pretty(&control).map_err(damaged)?;
    private_file::replace(&path, &bytes).map_err(Error::io("write", &path))?;
    Pepper::create(folder)?;
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use pintle_model::Time;

    use super::*;
    use crate::auth::control::Control;
    use crate::auth::inlet::NewInlet;
    use crate::auth::permission::Permission;

    #[test]
    fn applications_stay_and_get_secrets_anew() {
        let folder = tempfile::tempdir().unwrap();
        let now = Time::from_unix_seconds(1_700_000_000);
        let control = Control::open(folder.path()).unwrap();
        let tenant = control.tenant("default").unwrap().id;
        let permissions = [Permission::MachineRead].into_iter().collect();
        let (soar, old) = control.create_application(tenant, "soar", permissions, now).unwrap();
        let beats =
            NewInlet { tenant, name: "beats".into(), format: None, namespace: None, key_expires: None };
        let (beats, key) = control.create_inlet(beats, now).unwrap();
        drop(control);
        std::fs::remove_file(folder.path().join(crate::auth::PEPPER)).unwrap();
        assert!(Control::open(folder.path()).is_err(), "it would refuse all without saying why");

        assert_eq!(without_secrets(folder.path()).unwrap(), 2);
        let control = Control::open(folder.path()).unwrap();
        assert!(control.authenticate(tenant, soar.id, &old, now).is_none());
        let there = control.application(soar.id).unwrap();
        assert_eq!((&there.name, there.permissions == soar.permissions), (&soar.name, true));
        let new = control.rotate(soar.id, now).unwrap();
        assert!(control.authenticate(tenant, soar.id, &new, now).is_some());
        assert!(control.authenticate_inlet("beats", &key, now).is_none());
        assert!(control.inlet_keys(&control.inlet(tenant, "beats").unwrap()).is_empty());
        let (_, key) = control.add_inlet_key(tenant, "beats", None, now).unwrap();
        assert_eq!(control.authenticate_inlet("beats", &key, now).unwrap().0.id, beats.id);

        let empty = tempfile::tempdir().unwrap();
        assert_eq!(without_secrets(empty.path()).unwrap(), 0);
        assert!(Control::open(empty.path()).is_ok());
    }
}
