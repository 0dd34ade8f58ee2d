//! What a running Pintle owns: the data, the keys, the applications, the counters. Handlers share
//! it; nothing of it is process-wide.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pintle_model::Time;
use pintle_store::{Clock, Folder, Options, Replayed, Store};

use crate::auth::control::{Control, Tenant};
use crate::auth::issuer::Issuer;
use crate::auth::outside::OutsideIssuers;
use crate::auth::token::{Audiences, Verifier};
use crate::config::{Audience, Config};
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::quota::Quotas;
use crate::retention::Job;
use crate::slots::Slots;

/// Why a data folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store: its folder is in use, too new or damaged.
    #[error(transparent)]
    Store(#[from] pintle_store::Error),
    /// The keys or the applications.
    #[error(transparent)]
    Auth(#[from] crate::auth::Error),
}

/// How the store of such a configuration is opened.
pub fn store_options(config: &Config, control: &Control, clock: Clock) -> Options {
    let retention = |tenant: Tenant| (tenant.id, config.retention_of(tenant.id, &tenant.name));
    Options {
        clock,
        retention: config.retention,
        tenant_retention: control.tenants().into_iter().map(retention).collect(),
        archive: config.archive.caps(),
        memory: config.store.limits(),
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
    /// Which tokens of other issuers are.
    pub outside: OutsideIssuers,
    /// How often each application has called.
    pub quotas: Quotas,
    /// When what has expired is taken out.
    pub retention: Job,
    /// Where refusals, tokens and telemetry are counted.
    pub metrics: Metrics,
    /// The settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// Where lookups run.
    pub pace: Pace,
    /// Bodies of telemetry read at once.
    pub ingest_slots: Slots,
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
        let public_url = config.server.public_url.as_ref().map(|url| url.as_str());
        let issuer = Issuer::open(folder, public_url, config.issuer.token_lifetime, clock())?;
        let accepted = config.issuer.accepted_audiences.iter().map(Audience::as_str);
        let tokens = Verifier::new(Audiences::new(accepted.chain(public_url)));
        let outside = OutsideIssuers::new(&config, &control)?;
        let (quotas, problem) = Quotas::open(folder);
        if let Some(problem) = problem {
            tracing::warn!(error = %problem, "the quota counts cannot be read, so counting starts anew");
        }
        let (retention, problem) = Job::open(folder, Arc::clone(&clock));
        if let Some(problem) = problem {
            tracing::warn!(error = %problem, "nobody knows how the clock stood last, so nothing is forgotten for a day");
        }
        Ok(Instance {
            store,
            control,
            issuer,
            tokens,
            outside,
            quotas,
            retention,
            metrics: Metrics::new(),
            config,
            clock,
            pace: Pace::default(),
            ingest_slots: Slots::default(),
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

    /// Sections of the settings for tenants that there are not: nothing goes by them.
    pub fn sections_without_tenant(&self) -> Vec<&str> {
        let tenants = self.control.tenants();
        let has_tenant = |section: &str| {
            let id = section.parse::<pintle_model::TenantId>().ok();
            tenants.iter().any(|tenant| Some(tenant.id) == id || tenant.name == section)
        };
        self.config.tenants.keys().map(String::as_str).filter(|section| !has_tenant(section)).collect()
    }

    /// Whether this is the instance of `pintle dev`.
    pub fn is_dev(&self) -> bool {
        self.dev
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
                instance.issuer.keep_keys(instance.config.issuer.schedule(), instance.now())
            });
            match kept.await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(done))) => tracing::info!("{done}"),
                Ok(Err(error)) => tracing::error!(%error, "the keys that sign tokens cannot be exchanged"),
                Err(error) => tracing::error!(%error, "the keys that sign tokens are not looked after"),
            }
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
