//! One who sends batches, and is told why one is refused.

use crate::batches::{Batches, body};
use crate::client::{Answer, Connection};
use crate::product::Place;
use crate::report::{Failure, Outcome, Wrong};
use crate::server::Server;

/// Sends batches to a server, one after the other, and asks for them.
pub struct Sender {
    /// Where the server is.
    pub address: String,
    token: String,
    connection: Connection,
}

impl Sender {
    /// To a server that starts.
    pub fn of(server: &mut Server, place: &Place) -> Outcome<Sender> {
        Sender::at(server.must_be_ready()?, place)
    }

    /// To a server that serves there.
    pub fn at(address: String, place: &Place) -> Outcome<Sender> {
        let token = place.token(&address)?;
        Ok(Sender { connection: open(&address, &token)?, address, token })
    }

    /// Sends a batch; gives what was said if it was refused.
    pub fn send(&mut self, batches: &Batches) -> Outcome<Result<(), Answer>> {
        let batch = batches.take();
        let answer = match self.connection.post("/api/ingest", &body(batch)) {
            Ok(answer) => answer,
            Err(_) => {
                // A refusal may have closed the connection.
                self.connection = open(&self.address, &self.token)?;
                let again = self.connection.post("/api/ingest", &body(batch));
                again.map_err(|_| Failure::Unable("the server does not answer".into()))?
            }
        };
        if answer.status == 200 {
            batches.acknowledge(batch);
            return Ok(Ok(()));
        }
        batches.broke_off(batch);
        Ok(Err(answer))
    }

    /// Questions must be answered as if nothing were.
    pub fn ask(&mut self, batches: &Batches, wrong: &mut Wrong) -> Outcome<()> {
        self.connection = open(&self.address, &self.token)?;
        batches.look_for_acknowledged(&mut self.connection, wrong)
    }
}

fn open(address: &str, token: &str) -> Outcome<Connection> {
    Connection::open(address, token).map_err(|_| Failure::Unable("the server is gone".into()))
}
