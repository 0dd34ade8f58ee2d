//! Many slow connections from one thread: no attacker is more than a socket and when it acts next.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};

use super::kinds::{Kind, Reads};
use crate::report::{Outcome, While};

/// Addresses of this machine they come from, none of which is the good clients'.
const ADDRESSES: u8 = 8;
/// Bytes that a socket's receive buffer has where nothing is read; the system makes it a little more.
const LITTLE: usize = 2_048;
/// Between two looks at all of them.
const STEP: Duration = Duration::from_millis(50);
/// Between two bits that one sends or takes.
const BIT_EVERY: Duration = Duration::from_millis(400);
/// So many begin, fewer than the server takes: it must end them by its timeouts alone.
const FIRST: usize = 240;
/// When all others come, after the end of any timeout.
const CROWD_AFTER: Duration = Duration::from_millis(6_200);
/// Between two of them at first: some hundred come in a second.
const APART: Duration = Duration::from_millis(3);
/// Before one that was cut comes again.
const AGAIN: Duration = Duration::from_secs(1);

/// What became of an attack.
#[derive(Default)]
pub struct Attacked {
    /// Connections made.
    pub opened: u64,
    /// Those that the server ended.
    pub cut: u64,
    /// The longest that one was open.
    pub longest: Duration,
}

/// Attacks a server with so many connections until then.
pub fn attack(
    kind: &Kind,
    to: SocketAddr,
    first: &[u8],
    connections: usize,
    until: Instant,
) -> Outcome<Attacked> {
    let mut attacked = Attacked::default();
    let began = Instant::now();
    let mut attackers: Vec<Attacker> = (0..connections)
        .map(|nth| {
            let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + (nth % usize::from(ADDRESSES)) as u8));
            let (after, place) =
                nth.checked_sub(FIRST).map_or((Duration::ZERO, nth), |place| (CROWD_AFTER, place));
            Attacker { from, open: None, next: began + after + APART * place as u32 }
        })
        .collect();
    while Instant::now() < until {
        for attacker in &mut attackers {
            attacker.act(kind, to, first, &mut attacked).during(kind.name)?;
        }
        std::thread::sleep(STEP);
    }
    let ages = attackers.iter().filter_map(|attacker| attacker.open.as_ref());
    attacked.longest = ages.map(|open| open.since.elapsed()).max().unwrap_or_default().max(attacked.longest);
    Ok(attacked)
}

struct Attacker {
    from: IpAddr,
    open: Option<Open>,
    /// When it acts next.
    next: Instant,
}

struct Open {
    stream: TcpStream,
    since: Instant,
    /// Of what is sent first, so much is.
    sent: usize,
}

impl Attacker {
    fn act(&mut self, kind: &Kind, to: SocketAddr, first: &[u8], attacked: &mut Attacked) -> io::Result<()> {
        let now = Instant::now();
        let is_due = now >= self.next;
        let Some(open) = &mut self.open else {
            if is_due {
                let stream = open(self.from, to, kind.reads)?;
                attacked.opened += 1;
                self.next = now + BIT_EVERY;
                self.open = Some(Open { stream, since: now, sent: 0 });
            }
            return Ok(());
        };
        let goes_on = !kind.is_flood
            && open.speak(first, if is_due { kind.bit } else { b"" }).is_ok()
            && open.listen(kind.reads, is_due).is_ok();
        if is_due {
            self.next = now + BIT_EVERY;
        }
        if !goes_on {
            attacked.longest = attacked.longest.max(open.since.elapsed());
            attacked.cut += u64::from(!kind.is_flood);
            self.open = None;
            self.next = if kind.is_flood { now } else { now + AGAIN };
        }
        Ok(())
    }
}

impl Open {
    /// Sends what is left of the beginning, else a bit.
    fn speak(&mut self, first: &[u8], bit: &[u8]) -> io::Result<()> {
        let rest = first.get(self.sent..).filter(|rest| !rest.is_empty());
        match self.stream.write(rest.unwrap_or(bit)) {
            Ok(bytes) if rest.is_some() => self.sent += bytes,
            Ok(_) => {}
            Err(error) => return not_yet(error),
        }
        Ok(())
    }

    fn listen(&mut self, reads: Reads, is_due: bool) -> io::Result<()> {
        let mut some = [0; 4_096];
        let read = match reads {
            Reads::Everything => self.stream.read(&mut some),
            Reads::Bits if is_due => self.stream.read(some.split_at_mut(1).0),
            Reads::Bits => return Ok(()),
        };
        match read {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) => not_yet(error),
        }
    }
}

fn not_yet(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::NotConnected => Ok(()),
        _ => Err(error),
    }
}

/// Connects without waiting for it: a server that is full leaves newcomers in the system's queue.
fn open(from: IpAddr, to: SocketAddr, reads: Reads) -> io::Result<TcpStream> {
    let stream = TcpStream::from(socket(AddressFamily::INET, SocketType::STREAM, None)?);
    stream.set_nonblocking(true)?;
    if matches!(reads, Reads::Bits) {
        sockopt::set_socket_recv_buffer_size(&stream, LITTLE)?;
    }
    bind(&stream, &SocketAddr::new(from, 0))?;
    match connect(&stream, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(stream),
        Err(error) => Err(error.into()),
    }
}
