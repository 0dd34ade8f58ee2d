//! What a running Pintle owns: the data, the keys, the applications, the counters. Handlers share
//! it; nothing of it is process-wide.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pintle_ingest::Decoders;
use pintle_model::{TenantId, Time};
use pintle_store::{Clock, Folder, Options, Regrouped, Rejoined, Replayed, Scope, Store};
use tokio::sync::Semaphore;

use crate::audit::{self, Actor, Audit, Entry};
use crate::auth::codes::Codes;
use crate::auth::control::{Control, Tenant};
use crate::auth::issuer::Issuer;
use crate::auth::outside::OutsideIssuers;
use crate::auth::rights::Rights;
use crate::auth::sessions::Sessions;
use crate::auth::token::{Audiences, Verifier};
use crate::config::{Audience, Config};
use crate::http::coverage::Told;
use crate::kafka::Consumed;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::pull::Pulls;
use crate::quota::Quotas;
use crate::repeats::Repeats;
use crate::retention::Job;
use crate::slots::{Queue, Slots};
use crate::sources::Sources;
use crate::watch::Watched;
use crate::worker::Processes;
use crate::{intake, mappings};

/// Passwords that wait to be looked at; whoever comes then is told to come again.
const SIGNING_IN: usize = 32;

/// Walks over many things at once. Each has a core for itself, and may keep 256 MiB of what its rows are
/// ordered by.
const WALKS_AT_ONCE: usize = 8;
/// Walks of one tenant that wait for others.
const WALKS_WAITING: usize = 128;
/// Lists of hashes looked up at once, each of which may take some 30 MB.
const LISTS_AT_ONCE: usize = 8;

/// Events looked for at once: each reads and unpacks one batch after the other, which may be all there are.
const EVENTS_AT_ONCE: usize = 2;

/// Why a data folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store: its folder is in use, too new or damaged.
    #[error(transparent)]
    Store(#[from] pintle_store::Error),
    /// The keys or the applications.
    #[error(transparent)]
    Auth(#[from] crate::auth::Error),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// A mapping that the configuration names.
    #[error(transparent)]
    Mapping(#[from] mappings::Error),
    /// There is no place to hold archives while they are read.
    #[error("cannot make a folder to hold archives in: {0}")]
    Held(#[source] std::io::Error),
}

/// How the store of such a configuration is opened.
pub fn store_options(config: &Config, control: &Control, clock: Clock) -> Options {
    let retention = |tenant: Tenant| (tenant.id, config.retention_of(tenant.id, &tenant.name));
    let groups = |tenant: Tenant| (tenant.id, control.device_groups(tenant.id).compiled());
    let rules = |tenant: Tenant| (tenant.id, control.machine_rules(tenant.id).compiled());
    Options {
        clock,
        retention: config.retention,
        tenant_retention: control.tenants().into_iter().map(retention).collect(),
        archive: config.archive.caps(),
        memory: config.store.limits(),
        device_groups: control.tenants().into_iter().map(groups).collect(),
        machine_rules: control.tenants().into_iter().map(rules).collect(),
    }
}

impl OpenError {
    /// Whether another process has the folder.
    pub fn is_in_use(&self) -> bool {
        matches!(self, OpenError::Store(pintle_store::Error::InUse(_)))
    }
}

/// A running Pintle.
pub struct Instance {
    /// What is known.
    pub store: Arc<Store>,
    /// Tenants and applications.
    pub control: Control,
    /// The key that signs tokens.
    pub issuer: Issuer,
    /// Which tokens are accepted.
    pub tokens: Verifier,
    /// Sign-ins that wait for their tokens.
    pub codes: Codes,
    /// Who may get further tokens without signing in again.
    pub sessions: Sessions,
    regrouping: Mutex<()>,
    /// Passwords that may wait to be looked at.
    pub signing_in: Arc<Semaphore>,
    /// Which tokens of other issuers are.
    pub outside: OutsideIssuers,
    /// How often each application has called.
    pub quotas: Quotas,
    /// When what has expired is taken out.
    pub retention: Job,
    /// Who did what.
    pub audit: Arc<Audit>,
    /// Where refusals, tokens and telemetry are counted.
    pub metrics: Metrics,
    /// The settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// Where lookups run.
    pub pace: Pace,
    /// What answers say of the data.
    pub coverage: Told,
    /// What decodes telemetry.
    pub decoders: Decoders,
    /// What parses telemetry that is not text.
    pub workers: Processes,
    /// What is known of the sources of telemetry.
    pub sources: Sources,
    /// How the files of watched folders stand.
    pub(crate) watched: Watched,
    /// How the consumers of topics stand.
    pub(crate) consumed: Consumed,
    /// The folder in which archives are held while they are read.
    pub held: PathBuf,
    /// Stores that are fetched from.
    pub pulls: Pulls,
    /// Bodies of telemetry read at once.
    pub ingest_slots: Slots,
    /// Bodies of telemetry that each sender has under way.
    pub ingest_queue: Queue,
    /// Telemetry that may come again.
    pub repeats: Arc<Repeats>,
    /// Lists that are settled at once, and other walks over many things.
    pub walk_slots: Slots,
    /// Lists of hashes looked up at once.
    pub look_up_slots: Slots,
    /// Events looked for in the archive at once.
    pub event_slots: Slots,
    dev: bool,
}

impl Instance {
    /// Opens the data folder at `path` as [`Instance::open_in`] does, making it if it is not there. A
    /// second process gets [`pintle_store::Error::InUse`] and has changed nothing by then.
    pub fn open(path: &Path, config: Config, clock: Clock) -> Result<Instance, OpenError> {
        Instance::open_in(Folder::lock(path)?, config, clock, &mut |_| {})
    }

    /// Opens a data folder, making what is not there. Calls `progress` as [`Store::open_in`] does.
    pub fn open_in(
        folder: Folder,
        config: Config,
        clock: Clock,
        progress: &mut dyn FnMut(Replayed),
    ) -> Result<Instance, OpenError> {
        let decoders = mappings::decoders(config.ingest.mappings.as_deref())?;
        let control = Control::open(folder.path())?;
        let options = store_options(&config, &control, Arc::clone(&clock));
        let store = Arc::new(Store::open_in(folder, options, progress)?);
        let folder = store.folder();
        if let Some(torn) = store.set_aside() {
            tracing::warn!(
                kept = %torn.display(),
                "the archive ended in batches that were never acknowledged; they were set aside"
            );
        }
        for notice in store.notices() {
            tracing::info!(notice, "some of the archive is not answered for");
        }
        let public_url = config.server.public_url.as_ref().map(|url| url.as_str());
        let issuer = Issuer::open(folder, public_url, config.issuer.token_lifetime, clock())?;
        let accepted = config.issuer.accepted_audiences.iter().map(Audience::as_str);
        let tokens = Verifier::new(Audiences::new(accepted.chain(public_url)));
        let (sessions, problem) = Sessions::open(folder, config.issuer.refresh_token_lifetime)?;
        if let Some(problem) = problem {
            tracing::warn!(error = %problem, "the sessions were set aside (.damaged), so users sign in again");
        }
        let outside = OutsideIssuers::new(&config, &control)?;
        let (quotas, problem) = Quotas::open(folder);
        if let Some(problem) = problem {
            tracing::warn!(error = %problem, "the quota counts cannot be read, so counting starts anew");
        }
        let (retention, problem) = Job::open(folder, Arc::clone(&clock));
        if let Some(problem) = problem {
            tracing::warn!(error = %problem, "nobody knows how the clock stood last, so nothing is forgotten for a day");
        }
        let (sources, problem) = Sources::open(folder);
        if let Some(problem) = problem {
            tracing::warn!(error = %problem, "what was known of the sources cannot be read, so counting starts anew");
        }
        let held = intake::place_to_hold(folder).map_err(OpenError::Held)?;
        let audit = Arc::new(Audit::open(folder, Arc::clone(&clock))?);
        Ok(Instance {
            store,
            control,
            issuer,
            tokens,
            codes: Codes::default(),
            sessions,
            regrouping: Mutex::default(),
            signing_in: Arc::new(Semaphore::new(SIGNING_IN)),
            outside,
            quotas,
            retention,
            audit,
            metrics: Metrics::new(),
            pulls: Pulls::new(&config),
            config,
            clock,
            pace: Pace::default(),
            coverage: Told::default(),
            decoders,
            workers: Processes::default(),
            sources,
            watched: Watched::default(),
            consumed: Consumed::default(),
            held,
            ingest_slots: Slots::default(),
            ingest_queue: Queue::default(),
            repeats: Arc::default(),
            walk_slots: Slots::of(WALKS_AT_ONCE).with_queue(WALKS_WAITING),
            look_up_slots: Slots::of(LISTS_AT_ONCE),
            event_slots: Slots::of(EVENTS_AT_ONCE),
            dev: false,
        })
    }

    /// Makes this the instance of `pintle dev`: it answers under many host names, so discovery and
    /// `@odata.context` name the one that was asked. Issuer and audiences stay configured.
    pub fn for_dev(self) -> Instance {
        Instance { dev: true, ..self }
    }

    /// Counts in these metrics instead of some of its own.
    pub fn counting_in(self, metrics: Metrics) -> Instance {
        Instance { metrics, ..self }
    }

    /// Has these workers, where the program that runs is not `pintle`.
    pub fn with_workers(self, workers: Processes) -> Instance {
        Instance { workers, ..self }
    }

    /// Sections of the settings for tenants that there are not: nothing goes by them.
    pub fn sections_without_tenant(&self) -> Vec<&str> {
        let tenants = self.control.tenants();
        let has_tenant = |section: &str| {
            let id = section.parse::<TenantId>().ok();
            tenants.iter().any(|tenant| Some(tenant.id) == id || tenant.name == section)
        };
        self.config.tenants.keys().map(String::as_str).filter(|section| !has_tenant(section)).collect()
    }

    /// Whether this is the instance of `pintle dev`.
    pub fn is_dev(&self) -> bool {
        self.dev
    }

    /// What a caller may see.
    pub fn scope(&self, rights: &Rights) -> Scope {
        let scope = match &rights.sees {
            None => Scope::whole(rights.tenant),
            Some(groups) => Scope::device_groups(rights.tenant, groups.iter().copied()),
        };
        scope.narrowing_statistics(self.config.scope.narrow_statistics)
    }

    /// Lets the device groups of a tenant count as they are kept.
    pub fn regroup(&self, tenant: TenantId) -> Result<Regrouped, pintle_store::Error> {
        // Of two at once the later reads what is kept last.
        let _one_at_a_time = self.regrouping.lock().unwrap_or_else(PoisonError::into_inner);
        let groups = self.control.device_groups(tenant);
        let regrouped = self.store.set_device_groups(tenant, groups.compiled())?;
        self.control.note_sorted(tenant, groups);
        Ok(regrouped)
    }

    /// Lets a tenant's rules by which machines are one count as they are kept.
    pub fn rejoin(&self, tenant: TenantId) -> Result<Rejoined, pintle_store::Error> {
        let _one_at_a_time = self.regrouping.lock().unwrap_or_else(PoisonError::into_inner);
        self.store.set_machine_rules(tenant, self.control.machine_rules(tenant).compiled())
    }

    /// The time now.
    pub fn now(&self) -> Time {
        (self.clock)()
    }

    /// The URL under which clients know the server, without a slash at the end.
    pub fn public_url(&self) -> Option<&str> {
        self.config.server.public_url.as_ref().map(|url| url.as_str())
    }

    /// Exchanges the keys that sign tokens when it is time. Never returns; drop it to stop.
    pub async fn keep_keys(self: Arc<Instance>) {
        let mut every_minute = tokio::time::interval(Duration::from_secs(60));
        every_minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every_minute.tick().await;
            let instance = Arc::clone(&self);
            let kept = tokio::task::spawn_blocking(move || {
                let kept = instance.issuer.keep_keys(instance.config.issuer.schedule(), instance.now());
                if let Ok(Some(done)) = kept {
                    instance.audit.note(Entry::new(Actor::server(), "key.exchanged").with("done", done));
                }
                kept
            });
            match kept.await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(done))) => tracing::info!("{done}"),
                Ok(Err(error)) => tracing::error!(%error, "the keys that sign tokens cannot be exchanged"),
                Err(error) => tracing::error!(%error, "the keys that sign tokens are not looked after"),
            }
        }
    }

    /// Makes the lines of the audit log durable every second, so that a crash of the machine forgets at
    /// most the last second. Never returns; drop it to stop, and call [`Audit::close`] then.
    pub async fn keep_audit(self: Arc<Instance>) {
        let mut every_second = tokio::time::interval(Duration::from_secs(1));
        every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            every_second.tick().await;
            let audit = Arc::clone(&self.audit);
            let flushed =
                tokio::task::spawn_blocking(move || audit.flush().map_err(|error| error.to_string()));
            match flushed.await.map_err(|error| error.to_string()).flatten() {
                Ok(()) => failing = false,
                // Said once, not every second.
                Err(error) if !failing => {
                    failing = true;
                    tracing::error!(error, "lines of the audit log are not certain to be on the disk");
                }
                Err(_) => {}
            }
        }
    }

    /// Ends what was noted: for who lets go of the folder.
    pub fn close_audit(&self) {
        if let Err(error) = self.audit.close() {
            tracing::error!(%error, "the last lines of the audit log are not certain to be on the disk");
        }
    }

    /// Writes the quota counts every second while there is something to write, so that a crash
    /// forgets at most the last second. Never returns; drop it to stop, and call
    /// [`Quotas::save`] then.
    pub async fn keep_quotas(self: Arc<Instance>) {
        let mut every_second = tokio::time::interval(Duration::from_secs(1));
        every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            every_second.tick().await;
            let instance = Arc::clone(&self);
            let saved = tokio::task::spawn_blocking(move || instance.quotas.save(instance.now())).await;
            match saved.map_err(std::io::Error::other).flatten() {
                Ok(()) => failing = false,
                // Said once, not every second.
                Err(error) if !failing => {
                    failing = true;
                    tracing::error!(%error, "the quota counts cannot be written: a restart will forget them");
                }
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_for_a_tenant_that_does_not_exist_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Options::default().clock;
        let mut instance = Instance::open(folder.path(), Config::default(), clock).unwrap();
        let default = instance.control.tenant("default").unwrap();
        for section in ["default".to_owned(), default.id.to_string(), "deafult".to_owned()] {
            instance.config.tenants.insert(section, Default::default());
        }
        assert_eq!(instance.sections_without_tenant(), ["deafult"]);
    }
}
