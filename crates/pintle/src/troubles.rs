//! What is wrong with what is on the disk: told in the log when it is noticed and when it is over, and counted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::instance::Instance;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Looks until it is ended.
pub(crate) async fn keep(instance: Arc<Instance>) {
    let mut told = BTreeSet::new();
    loop {
        told = tell(&instance, told);
        tokio::time::sleep(EVERY).await;
    }
}

/// Tells what was not told before; gives all there is now.
fn tell(instance: &Instance, told: BTreeSet<String>) -> BTreeSet<String> {
    let found: BTreeSet<String> = instance.store.troubles().into_iter().collect();
    for trouble in found.difference(&told) {
        tracing::error!(trouble, "something is wrong with what is on the disk");
    }
    for trouble in told.difference(&found) {
        tracing::info!(trouble, "it is not wrong any more");
    }
    instance.metrics.troubles(found.len());
    found
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::Instant;

    use pintle_model::tables::device_file_events;
    use pintle_model::{Record, Row};
    use pintle_store::{Batch, Options};

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_base_that_cannot_be_written_is_counted_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.store.fold_after_records = NonZeroUsize::MIN;
        let instance = Instance::open(folder.path(), config, Options::default().clock).unwrap();
        let counted = |count: usize| {
            let line = format!("pintle_store_troubles {count}\n");
            let patience = Instant::now() + Duration::from_secs(60);
            let mut told = BTreeSet::new();
            while !instance.metrics.encode().contains(&line) && Instant::now() < patience {
                told = tell(&instance, told);
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(instance.metrics.encode().contains(&line), "{told:?}");
            told
        };
        assert!(counted(0).is_empty());
        let (base, away) = (folder.path().join("base"), folder.path().join("away"));
        std::fs::rename(&base, &away).unwrap();
        let tenant = instance.control.tenant("default").unwrap().id;
        let mut row = Row::new(&device_file_events::TABLE);
        row.set_text(device_file_events::DEVICE_ID, Some("m1"));
        let records = vec![Record::Row(row)];
        instance.store.append(Batch { records, ..Batch::recorded(tenant, "test".to_owned()) }).unwrap();
        let told = counted(1);
        assert!(told.iter().all(|trouble| trouble.contains("base")), "{told:?}");
        std::fs::rename(&away, &base).unwrap();
        counted(0);
    }
}
