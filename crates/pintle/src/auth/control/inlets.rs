//! The standing inlets, and the keys by which their shippers are known.

use std::collections::HashMap;
use std::time::Duration;

use super::super::inlet::{Inlet, InletKey, NewInlet, StoredKey};
use super::super::secret::Secret;
use super::*;
use pintle_store::Batch;

/// Keys of one inlet: enough to exchange one while others are in use.
const MAX_KEYS: usize = 4;

/// What the name of a source may have.
const MAX_NAME_BYTES: usize = 256;

/// How far what is on the disk about the use of keys may be behind.
const SAVED_EVERY: Duration = Duration::from_secs(600);

/// When keys were used last.
#[derive(Default)]
pub(super) struct Uses {
    /// By the key's id. Only keys that there were are in here.
    used: HashMap<Uuid, Time>,
    saved: Option<Time>,
}

/// Inlets by their names as these are compared; one name may be that of several, of different tenants.
pub(super) type Names = HashMap<String, Vec<Uuid>>;

/// The names of all inlets.
pub(super) fn names(inlets: &All<Inlet>) -> Names {
    let mut names = Names::new();
    for inlet in inlets.values() {
        names.entry(folded(&inlet.name)).or_default().push(inlet.id);
    }
    names
}

impl Control {
    /// The inlets, of one tenant or all, by name.
    pub fn inlets(&self, tenant: Option<TenantId>) -> Vec<Arc<Inlet>> {
        of_tenant(&self.state().inlets, tenant)
    }

    /// The inlet of that name or id.
    pub fn inlet(&self, tenant: TenantId, name_or_id: &str) -> Result<Arc<Inlet>, Error> {
        find(&self.state().inlets, tenant, name_or_id).cloned()
    }

    /// Makes an inlet with a first key, which cannot be had again.
    pub fn create_inlet(&self, new: NewInlet, now: Time) -> Result<(Arc<Inlet>, Secret), Error> {
        let name = checked_inlet_name(&new.name)?;
        let (secret, key) = self.new_key(new.key_expires, now)?;
        let inlet = Inlet {
            id: Uuid::new_v4(),
            tenant: new.tenant,
            name,
            format: new.format,
            namespace: new.namespace,
            enabled: true,
            created: now,
            keys: vec![key],
        };
        let made = self.change(|state| {
            if !state.tenants.iter().any(|tenant| tenant.id == inlet.tenant) {
                return Err(Error::UnknownTenant(inlet.tenant.to_string()));
            }
            add(&mut state.inlets, inlet)
        })?;
        Ok((made, secret))
    }

    /// Renames an inlet, or lets it take something or nothing; what is `None` stays. It counts for the
    /// next request.
    pub fn change_inlet(
        &self,
        tenant: TenantId,
        inlet: &str,
        name: Option<&str>,
        enabled: Option<bool>,
    ) -> Result<Arc<Inlet>, Error> {
        let name = name.map(checked_inlet_name).transpose()?;
        self.change(|state| {
            let mut inlet = Inlet::clone(find(&state.inlets, tenant, inlet)?);
            inlet.name = name.unwrap_or(inlet.name);
            inlet.enabled = enabled.unwrap_or(inlet.enabled);
            replace(&mut state.inlets, inlet)
        })
    }

    /// Removes an inlet. What came by it stays.
    pub fn delete_inlet(&self, tenant: TenantId, inlet: &str) -> Result<Arc<Inlet>, Error> {
        self.change(|state| {
            let gone = Arc::clone(find(&state.inlets, tenant, inlet)?);
            state.inlets.remove(&gone.id);
            Ok(gone)
        })
    }

    /// Gives an inlet one more key, which cannot be had again and ends when it says so.
    pub fn add_inlet_key(
        &self,
        tenant: TenantId,
        inlet: &str,
        expires: Option<Time>,
        now: Time,
    ) -> Result<(Arc<Inlet>, Secret), Error> {
        let (secret, key) = self.new_key(expires, now)?;
        let changed = self.change(|state| {
            let mut inlet = Inlet::clone(find(&state.inlets, tenant, inlet)?);
            if inlet.keys.len() >= MAX_KEYS {
                return Err(Error::Unfit(format!("the inlet has {MAX_KEYS} keys: remove one first")));
            }
            inlet.keys.push(key);
            replace(&mut state.inlets, inlet)
        })?;
        Ok((changed, secret))
    }

    /// Takes a key from an inlet. It counts for the next request.
    pub fn remove_inlet_key(&self, tenant: TenantId, inlet: &str, key: Uuid) -> Result<Arc<Inlet>, Error> {
        self.change(|state| {
            let mut inlet = Inlet::clone(find(&state.inlets, tenant, inlet)?);
            let before = inlet.keys.len();
            inlet.keys.retain(|kept| kept.id != key);
            if inlet.keys.len() == before {
                return Err(Error::Unknown("key of that inlet", key.to_string(), "inlet"));
            }
            replace(&mut state.inlets, inlet)
        })
    }

    /// The keys of an inlet, without what is secret of them.
    pub fn inlet_keys(&self, inlet: &Inlet) -> Vec<InletKey> {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = |key: &StoredKey| InletKey {
            id: key.id,
            created: key.created,
            expires: key.expires,
            last_used: uses.used.get(&key.id).copied().max(key.last_used),
        };
        inlet.keys.iter().map(shown).collect()
    }

    /// The enabled inlet of that id or name, in whichever tenant, if the key is one of its own, and the
    /// key's id. Who asks with an unknown name, a wrong key or for a disabled inlet learns nothing by the
    /// answer.
    pub fn authenticate_inlet(
        &self,
        name_or_id: &str,
        key: &Secret,
        now: Time,
    ) -> Option<(Arc<Inlet>, Uuid)> {
        let presented = self.pepper.hash(key);
        let state = self.state();
        // What is no GUID is a name.
        let by_id = Uuid::try_parse(name_or_id).ok();
        let by_name = || state.inlet_names.get(&folded(name_or_id)).map_or(&[][..], Vec::as_slice);
        let candidates = by_id.as_ref().map_or_else(by_name, std::slice::from_ref);
        let mut found = None;
        for inlet in candidates.iter().filter_map(|id| state.inlets.get(id)) {
            for kept in &inlet.keys {
                let is_it = presented.equals(&kept.hash) & kept.expires.is_none_or(|expires| now < expires);
                if is_it && inlet.enabled {
                    found = Some((Arc::clone(inlet), kept.id));
                }
            }
        }
        found
    }

    /// Notes that a key was used. Whether it is time to write that down ([`Control::save_uses`]).
    pub fn note_use(&self, key: Uuid, now: Time) -> bool {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.used.insert(key, now);
        // A clock that was set back ends the wait too.
        let is_due = uses.saved.is_none_or(|saved| now < saved || now >= saved + SAVED_EVERY);
        if is_due {
            uses.saved = Some(now);
        }
        is_due
    }

    /// Writes down when keys were used last. Blocks.
    pub fn save_uses(&self) -> Result<(), Error> {
        let used = self.uses.lock().unwrap_or_else(PoisonError::into_inner).used.clone();
        self.change(|state| {
            for inlet in state.inlets.values_mut() {
                let newer = |key: &StoredKey| used.get(&key.id).copied().max(key.last_used);
                if inlet.keys.iter().any(|key| newer(key) != key.last_used) {
                    for key in &mut Arc::make_mut(inlet).keys {
                        key.last_used = newer(key);
                    }
                }
            }
            Ok(())
        })?;
        // Of keys that are gone nothing needs to be known any more.
        let state = self.state();
        let there: std::collections::HashSet<Uuid> =
            state.inlets.values().flat_map(|inlet| &inlet.keys).map(|key| key.id).collect();
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.used.retain(|key, _| there.contains(key));
        Ok(())
    }

    fn new_key(&self, expires: Option<Time>, now: Time) -> Result<(Secret, StoredKey), Error> {
        let secret = Secret::generate()?;
        let hash = self.pepper.hash(&secret);
        let key = StoredKey { id: Uuid::new_v4(), hash, created: now, expires, last_used: None };
        Ok((secret, key))
    }
}

/// A name that can be a source's, which it becomes, and has no colon: that ends it where it stands before a
/// key (RFC 7617 §2).
fn checked_inlet_name(name: &str) -> Result<String, Error> {
    let name = checked_name(name)?;
    if name.contains(':') {
        return Err(Error::Unfit("an inlet's name has no colon".to_owned()));
    }
    if name.len() > MAX_NAME_BYTES || Batch::is_reserved(&name) {
        return Err(Error::Unfit(format!(
            "an inlet's name has at most {MAX_NAME_BYTES} bytes, and is neither `{}` nor `{}`",
            Batch::PEOPLE,
            Batch::PINTLE
        )));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_ticks(17_000_000_000_000_000);

    fn new(tenant: TenantId, name: &str) -> NewInlet {
        NewInlet { tenant, name: name.to_owned(), format: None, namespace: None, key_expires: None }
    }

    #[test]
    fn an_inlet_is_known_by_its_id_or_name_with_one_of_its_keys_and_by_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        let tenant = control.tenant("default").unwrap().id;
        let other = control.create_tenant(None, "other").unwrap().id;
        let (inlet, key) = control.create_inlet(new(tenant, "Beats Ä"), NOW).unwrap();
        let (theirs, their_key) = control.create_inlet(new(other, "beats ä"), NOW).unwrap();
        drop(control);

        let control = Control::open(folder.path()).unwrap();
        let id = inlet.id.to_string();
        let known = |who: &str, key: &Secret| {
            control.authenticate_inlet(who, key, NOW).map(|(inlet, _)| (inlet.id, inlet.tenant))
        };
        for who in [id.as_str(), "Beats Ä", "BEATS ä"] {
            assert_eq!(known(who, &key), Some((inlet.id, tenant)), "{who}");
        }
        // The key tells which of two inlets of one name is meant.
        assert_eq!(known("beats ä", &their_key), Some((theirs.id, other)));
        assert_eq!(known(&id, &their_key), None);
        for (who, key) in [
            ("beats", key.clone()),
            ("", key.clone()),
            (id.as_str(), Secret::from_text("")),
            (id.as_str(), Secret::from_text(format!("{}x", key.reveal()))),
            ("6f9619ff-8b86-d011-b42d-00cf4fc964ff", key.clone()),
        ] {
            assert_eq!(known(who, &key), None, "{who}");
        }
        let file = std::fs::read_to_string(folder.path().join("control.json")).unwrap();
        assert!(file.contains("Beats Ä") && !file.contains(key.reveal()));

        control.change_inlet(tenant, "beats ä", Some("winlogbeat"), Some(false)).unwrap();
        assert_eq!((known("winlogbeat", &key), known("beats ä", &key)), (None, None));
        control.change_inlet(tenant, "winlogbeat", None, Some(true)).unwrap();
        assert!(known("winlogbeat", &key).is_some());
        assert!(control.delete_inlet(other, "winlogbeat").is_err(), "it is another tenant's");
        control.delete_inlet(tenant, "winlogbeat").unwrap();
        assert_eq!(known(&id, &key), None);
    }

    #[test]
    fn keys_are_exchanged_and_end_and_there_are_few() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        let tenant = control.tenant("default").unwrap().id;
        let (inlet, first) = control.create_inlet(new(tenant, "beats"), NOW).unwrap();
        let end = NOW + Duration::from_secs(60);
        let (_, second) = control.add_inlet_key(tenant, "beats", Some(end), NOW).unwrap();
        let known = |key: &Secret, now| control.authenticate_inlet("beats", key, now).is_some();
        assert!(known(&first, NOW) && known(&second, NOW));
        assert!(known(&first, end) && !known(&second, end));
        let id = control.inlet_keys(&inlet)[0].id;
        control.remove_inlet_key(tenant, "beats", id).unwrap();
        assert!(!known(&first, NOW) && known(&second, NOW));
        assert!(control.remove_inlet_key(tenant, "beats", id).is_err());
        for _ in 1..MAX_KEYS {
            control.add_inlet_key(tenant, "beats", None, NOW).unwrap();
        }
        let full = control.add_inlet_key(tenant, "beats", None, NOW).err().unwrap().to_string();
        assert!(full.contains("4 keys"), "{full}");
    }

    #[test]
    fn the_last_use_of_a_key_is_written_down_now_and_then() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        let tenant = control.tenant("default").unwrap().id;
        let (inlet, key) = control.create_inlet(new(tenant, "beats"), NOW).unwrap();
        let used = |control: &Control| {
            let inlet = control.inlet(tenant, &inlet.id.to_string()).unwrap();
            control.inlet_keys(&inlet)[0].last_used
        };
        assert_eq!(used(&control), None);
        let (_, id) = control.authenticate_inlet("beats", &key, NOW).unwrap();
        assert!(control.note_use(id, NOW));
        control.save_uses().unwrap();
        let later = NOW + Duration::from_secs(599);
        assert!(!control.note_use(id, later));
        assert_eq!(used(&control), Some(later));
        drop(control);
        let control = Control::open(folder.path()).unwrap();
        assert_eq!(used(&control), Some(NOW), "what was after it was not written");
    }

    #[test]
    fn an_inlets_name_can_stand_before_a_colon_and_be_a_sources() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        let tenant = control.tenant("default").unwrap().id;
        for name in ["a:b", "(people)", &"日".repeat(100)] {
            assert!(matches!(control.create_inlet(new(tenant, name), NOW), Err(Error::Unfit(_))), "{name}");
        }
        control.create_inlet(new(tenant, "beats"), NOW).unwrap();
        assert!(matches!(control.create_inlet(new(tenant, "Beats"), NOW), Err(Error::Exists(_))));
    }
}
