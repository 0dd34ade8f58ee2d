//! What the mock cluster does not have: a real broker, Tansu, where one is installed, behind TLS of this process's;
//! and what brokers are shown by SASL, by one that takes note of it and does no more.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender as Channel, channel};
use std::time::Instant;

use rcgen::{CertificateParams, KeyPair};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A broker behind TLS.
struct Broker {
    child: Child,
    _runtime: Runtime,
    address: String,
    authority: PathBuf,
}

impl Broker {
    /// One with a topic of two partitions.
    fn start(program: &Path, folder: &Path) -> Broker {
        let runtime = Runtime::new().unwrap();
        let signing = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&signing).unwrap();
        let authority = folder.join("authority.pem");
        std::fs::write(&authority, certificate.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signing.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        // Free when it was asked for.
        let inner = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        runtime.spawn(tls(listener, TlsAcceptor::from(Arc::new(config)), inner));
        let mut command = Command::new(program);
        command.args(["broker", "--storage-engine", "memory://tansu/"]);
        command.args(["--listener-url", &format!("tcp://{inner}")]);
        command.args(["--advertised-listener-url", &format!("tcp://{address}")]);
        let log = std::fs::File::create(folder.join("broker.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let broker = Broker { child: spawn(&mut command), _runtime: runtime, address, authority };
        let begun = Instant::now();
        while TcpStream::connect(inner).is_err() {
            assert!(begun.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut config = ClientConfig::new();
        broker.settings().into_iter().for_each(|(name, value)| _ = config.set(name, value));
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let topic = NewTopic::new("edr", 2, TopicReplication::Fixed(1));
        let made = broker._runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        broker
    }

    /// What another client is told to get in.
    fn settings(&self) -> [(&str, &str); 3] {
        [
            ("bootstrap.servers", &self.address),
            ("security.protocol", "ssl"),
            ("ssl.ca.location", self.authority.to_str().unwrap()),
        ]
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Undoes TLS before a broker.
async fn tls(listener: tokio::net::TcpListener, acceptor: TlsAcceptor, inner: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut outside = acceptor.accept(stream).await.ok()?;
            let mut inside = tokio::net::TcpStream::connect(inner).await.ok()?;
            tokio::io::copy_bidirectional(&mut outside, &mut inside).await.ok()
        });
    }
}

#[test]
fn a_real_broker_is_taken_from_over_tls() {
    let Some(program) = std::env::var_os("TANSU").map(PathBuf::from) else {
        assert!(std::env::var_os("REQUIRE_TANSU").is_none(), "TANSU names no program");
        println!("skipped: TANSU names no broker");
        return;
    };
    let top = tempfile::tempdir().unwrap();
    let broker = Broker::start(&program, top.path());
    let Broker { address, authority, .. } = &broker;
    let text =
        format!("[kafka.edr]\nbrokers = [\"{address}\"]\ntopics = [\"edr\"]\nca_file = {authority:?}\n");
    let site = Site::new(&text);
    let sender = Sender::to(&broker.settings());
    for n in 1..=40 {
        sender.send("edr", (n % 2) as i32, Some(record(n).as_bytes()));
    }
    sender.send("edr", 0, Some(b"hello"));
    sender.flush();
    let server = site.serve();
    site.wait_for(1..=40);
    let told = site.wait_until("all is committed", |told| committed(told) == 41);
    assert_eq!(told["value"][0]["rejectedByReason"]["of no known format"], 1, "{told}");
    server.kill();
    for n in 41..=60 {
        sender.send("edr", (n % 2) as i32, Some(gzip(&record(n)).as_slice()));
    }
    sender.flush();
    let server = site.serve();
    site.wait_for(1..=60);
    let told = site.wait_until("all is committed", |told| committed(told) == 61);
    assert_eq!(told["kafka"][0]["partitionCount"], 2, "{told}");
    server.end();
}

#[test]
fn a_broker_whose_certificate_nobody_vouches_for_is_not_taken_from() {
    let Some(program) = std::env::var_os("TANSU").map(PathBuf::from) else { return };
    let top = tempfile::tempdir().unwrap();
    let broker = Broker::start(&program, top.path());
    let site = Site::new(&format!("[kafka.edr]\nbrokers = [\"{}\"]\ntopics = [\"edr\"]\n", broker.address));
    let sender = Sender::to(&broker.settings());
    sender.send("edr", 0, Some(record(1).as_bytes()));
    sender.flush();
    let server = site.serve();
    let told = site.wait_until("it is said", |told| {
        told["kafka"][0]["troubles"].to_string().contains("certificate verify failed")
    });
    assert_eq!((records(&told), &told["kafka"][0]["partitionCount"]), (0, &json!(0)), "{told}");
    server.end();
}

/// Answers a request with a body.
fn answer(stream: &mut TcpStream, id: &[u8], body: &[u8]) {
    let length = u32::try_from(id.len() + body.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes(), id, body].concat()).unwrap();
}

/// Speaks with a client up to what it shows, which it takes note of and refuses.
fn greet(mut stream: TcpStream, mechanism: &str, shown: &Channel<Vec<u8>>) -> Option<()> {
    // Versions of these requests: of the handshake, of what is shown, of this list, of metadata.
    let versions = |(key, most): (u8, u8)| [0, key, 0, 0, 0, most, 0];
    let versions: Vec<u8> = [(17, 1), (36, 0), (18, 3), (3, 1)].into_iter().flat_map(versions).collect();
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).ok()?;
        let (key, id) = (request[1], request[4..8].to_vec());
        match key {
            18 => answer(&mut stream, &id, &[&[0, 0, 5], &versions[..], &[0, 0, 0, 0, 0]].concat()),
            17 => {
                let length = [0, 0, 0, 0, 0, 1, 0, u8::try_from(mechanism.len()).ok()?];
                answer(&mut stream, &id, &[&length, mechanism.as_bytes()].concat());
            }
            _ => {
                // It is never let in: error 58, without words.
                answer(&mut stream, &id, &[0, 58, 0xff, 0xff, 0, 0, 0, 0]);
                shown.send(request).ok()?;
            }
        }
    }
}

/// A broker of a mechanism, and what it is shown.
fn broker(mechanism: &'static str) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (shown, shows) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shown = shown.clone();
            std::thread::spawn(move || greet(stream, mechanism, &shown));
        }
    });
    (address, shows)
}

/// What a broker is shown by a server with these lines in its section, and these in its credentials_file.
fn shown(mechanism: &'static str, credentials: &str, lines: &str) -> String {
    let (address, shows) = broker(mechanism);
    let top = tempfile::tempdir().unwrap();
    let file = top.path().join("credentials");
    std::fs::write(&file, credentials).unwrap();
    let sasl = mechanism.to_lowercase();
    let site = Site::new(&format!(
        "[kafka.edr]\nbrokers = [\"{address}\"]\ntopics = [\"edr\"]\ntls = false\nsasl = \"{sasl}\"\n\
         credentials_file = {file:?}\n{lines}\n"
    ));
    let server = site.serve();
    let shown = shows.recv_timeout(PATIENCE).unwrap();
    server.end();
    String::from_utf8_lossy(&shown).into_owned()
}

#[test]
fn a_broker_is_shown_the_token_that_was_got_for_it() {
    let login = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = login.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in login.incoming().flatten() {
            std::thread::spawn(move || {
                let mut asked = [0; 4096];
                let count = stream.read(&mut asked).unwrap();
                assert!(asked[..count].starts_with(b"POST /token "));
                let body = r#"{"access_token":"tok.en-123","expires_in":3600}"#;
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            });
        }
    });
    let token_url = format!("token_url = \"http://{url}/token\"");
    let shown = shown("OAUTHBEARER", "CLIENT_ID=soc\nCLIENT_SECRET=hush\n", &token_url);
    assert!(shown.contains("auth=Bearer tok.en-123\x01"), "{shown:?}");
    assert!(!shown.contains("hush"), "{shown:?}");
}

#[test]
fn a_broker_is_shown_a_connection_string_or_a_name_and_no_password() {
    let connection =
        "Endpoint=sb://n.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey=aHVzaA==";
    let plain = shown("PLAIN", connection, "");
    assert!(plain.ends_with(&format!("\0$ConnectionString\0{connection}")), "{plain:?}");
    let scram = shown("SCRAM-SHA-512", "USERNAME=soc\nPASSWORD=hush\n", "");
    assert!(scram.contains("n,,n=soc,r=") && !scram.contains("hush"), "{scram:?}");
}

#[test]
fn who_is_not_let_in_says_so_and_reads_the_credentials_anew() {
    let (address, shows) = broker("PLAIN");
    let top = tempfile::tempdir().unwrap();
    let file = top.path().join("credentials");
    std::fs::write(&file, "USERNAME=soc\nPASSWORD=hush-1\n").unwrap();
    let site = Site::new(&format!(
        "[kafka.edr]\nbrokers = [\"{address}\"]\ntopics = [\"edr\"]\ntls = false\nsasl = \"plain\"\n\
         credentials_file = {file:?}\n"
    ));
    let server = site.serve();
    let shown = || shows.recv_timeout(PATIENCE).unwrap();
    assert!(shown().ends_with(b"\0soc\0hush-1"));
    let told = site.wait_until("it is said", |told| {
        told["kafka"][0]["troubles"].to_string().contains("the brokers do not let it in")
    });
    assert!(!told.to_string().contains("hush"), "{told}");
    std::fs::write(&file, "USERNAME=soc\nPASSWORD=hush-2\n").unwrap();
    let begun = Instant::now();
    while !shown().ends_with(b"\0soc\0hush-2") {
        assert!(begun.elapsed() < PATIENCE);
    }
    server.end();
}
