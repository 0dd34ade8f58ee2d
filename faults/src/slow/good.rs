//! Good clients, whose requests must be answered as if there were no others: lookups and small batches, on
//! connections that are kept and on new ones.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::batches::{Batches, body, machine};
use crate::client::{Answer, Connection, Gone};
use crate::report::{Failure, Outcome, Wrong};

/// A server, as its clients know it.
#[derive(Clone)]
pub struct Target {
    /// Host and port.
    pub address: String,
    /// Who they trust, if it speaks TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// What they show.
    pub token: String,
}

impl Target {
    fn connect(&self) -> Result<Connection, Gone> {
        Connection::open_by(&self.address, self.tls.as_ref(), &self.token)
    }
}

/// What a client asks for.
#[derive(Clone, Copy)]
enum Asks {
    Lookup,
    Ingest,
}

impl Asks {
    /// Between two of them: so much that these clients alone leave the machine time.
    fn pause(self) -> Duration {
        Duration::from_millis(match self {
            Asks::Lookup => 8,
            Asks::Ingest => 40,
        })
    }

    fn ask(self, server: &mut Connection, batches: &Batches) -> Result<Answer, Gone> {
        match self {
            Asks::Lookup => server.get(&format!("/api/machines/{}", machine(0))),
            Asks::Ingest => {
                let batch = batches.take();
                let answer = server.post("/api/ingest", &body(batch))?;
                if answer.status == 200 {
                    batches.acknowledge(batch);
                }
                Ok(answer)
            }
        }
    }
}

/// Sends what will be asked for.
pub fn begin(target: &Target, batches: &Batches) -> Outcome<()> {
    let answer = target.connect().and_then(|mut server| Asks::Ingest.ask(&mut server, batches));
    match answer {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(Failure::Unable(answer.body)),
        Err(Gone) => Err(Failure::Unable("the server does not answer".into())),
    }
}

/// Asks for a while; gives how long each answer took. `during` says what goes on meanwhile.
pub fn ask(
    target: &Target,
    batches: &Batches,
    time: Duration,
    during: &str,
    wrong: &mut Wrong,
) -> Vec<Duration> {
    let until = Instant::now() + time;
    let clients = [(Asks::Lookup, true), (Asks::Lookup, false), (Asks::Ingest, true), (Asks::Ingest, false)];
    thread::scope(|scope| {
        let asking =
            clients.map(|(asks, is_kept)| scope.spawn(move || one(target, batches, asks, is_kept, until)));
        let mut all = Vec::new();
        for client in asking {
            let Ok((took, failed)) = client.join() else { continue };
            all.extend(took);
            failed.into_iter().for_each(|why| wrong.add("good request failed", format!("{why}, {during}")));
        }
        all
    })
}

fn one(
    target: &Target,
    batches: &Batches,
    asks: Asks,
    is_kept: bool,
    until: Instant,
) -> (Vec<Duration>, Vec<String>) {
    let (mut took, mut failed, mut kept) = (Vec::new(), Vec::new(), None);
    while Instant::now() < until {
        let began = Instant::now();
        let connection = kept.take().map_or_else(|| target.connect(), Ok);
        let answered = connection.and_then(|mut server| Ok((asks.ask(&mut server, batches)?, server)));
        match answered {
            Ok((answer, server)) if answer.status == 200 => {
                took.push(began.elapsed());
                kept = is_kept.then_some(server);
            }
            Ok((answer, _)) => failed.push(format!("{}: {}", answer.status, answer.body)),
            Err(Gone) => failed.push(format!("no answer after {:?}", began.elapsed())),
        }
        thread::sleep(asks.pause());
    }
    (took, failed)
}

/// What 99 of a hundred took at most.
pub fn p99(took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    let place = (took.len() * 99).div_ceil(100).saturating_sub(1);
    took.get(place).copied().unwrap_or_default()
}
