//! Negotiation as a table, and packed answers unpacked again.

use std::io::Read;

use axum::routing::get;
use flate2::read::GzDecoder;
use ruzstd::decoding::StreamingDecoder;
use tower::ServiceExt;

use super::*;

#[test]
fn the_clients_wish_decides() {
    use Coding::{Gzip, Zstd};
    for (wish, expected) in [
        (None, None),
        (Some(""), None),
        (Some("identity"), None),
        (Some("br, deflate"), None),
        (Some("gzip"), Some(Gzip)),
        (Some("GZIP"), Some(Gzip)),
        (Some("x-gzip"), Some(Gzip)),
        (Some("zstd"), Some(Zstd)),
        (Some("gzip, deflate, br, zstd"), Some(Gzip)),
        (Some("gzip;q=0.5, zstd"), Some(Zstd)),
        (Some("gzip;q=0.8 , zstd;q=0.9"), Some(Zstd)),
        (Some("gzip;q=0, zstd;q=0.001"), Some(Zstd)),
        (Some("gzip;q=0"), None),
        (Some("*"), Some(Gzip)),
        (Some("*;q=0"), None),
        (Some("gzip;q=0, *"), Some(Zstd)),
        (Some("zstd;q=2"), None),
        (Some("zstd;q=NaN, gzip;q=x"), None),
        (Some(";;,,;q=1"), None),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(wish) = wish {
            headers.insert(ACCEPT_ENCODING, wish.parse().unwrap());
        }
        assert_eq!(negotiate(&headers), expected, "{wish:?}");
    }
}

fn unpack(coding: &str, packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        "gzip" => GzDecoder::new(packed).read_to_end(&mut plain).unwrap(),
        "zstd" => StreamingDecoder::new(packed).unwrap().read_to_end(&mut plain).unwrap(),
        other => panic!("{other}"),
    };
    plain
}

fn machines(count: usize) -> String {
    let machine = |n: usize| format!("{{\"id\":\"{n:040x}\",\"computerDnsName\":\"host-{n}\"}}");
    format!("[{}]", (0..count).map(machine).collect::<Vec<_>>().join(","))
}

async fn ask(router: &Router, path: &str, wish: &str) -> (HeaderMap, Bytes) {
    let request = Request::get(path).header(ACCEPT_ENCODING, wish).body(Body::empty()).unwrap();
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    (parts.headers, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn answers_are_packed_where_it_is_worth_it_and_vary_always() {
    let encoded = [(CONTENT_ENCODING, "br")];
    let router = Router::new()
        .route("/small", get(async || machines(5)))
        .route("/medium", get(async || machines(100)))
        .route("/large", get(async || machines(20_000)))
        .route("/noise", get(async || noise(4096)))
        .route("/encoded", get(async move || (encoded, machines(100))));
    let router = wrap(router);
    for (path, wish, expected) in [
        ("/small", "gzip", None),
        ("/medium", "gzip", Some("gzip")),
        ("/medium", "zstd", Some("zstd")),
        ("/medium", "identity", None),
        ("/large", "gzip", Some("gzip")),
        ("/large", "zstd", Some("zstd")),
        ("/noise", "gzip", None),
        ("/noise", "zstd", None),
        ("/encoded", "gzip", Some("br")),
    ] {
        let (headers, body) = ask(&router, path, wish).await;
        assert_eq!(headers[VARY], "Accept-Encoding", "{path} {wish}");
        let coding = headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap());
        assert_eq!(coding, expected, "{path} {wish}");
        let (_, plain) = ask(&router, path, "identity").await;
        match coding {
            Some("br") | None => assert_eq!(body, plain, "{path} {wish}"),
            Some(coding) => assert_eq!(unpack(coding, &body), plain, "{path} {wish}"),
        }
        if let Some(length) = headers.get(CONTENT_LENGTH) {
            assert_eq!(length.to_str().unwrap(), body.len().to_string());
        }
    }
}

/// Bytes that do not pack, the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn the_zstd_encoder_gives_back_what_it_got() {
    // At and around its block size, with and without repetition.
    for length in [0, 1, 1023, 1024, 131_071, 131_072, 131_073, 400_000] {
        for plain in [noise(length), vec![b'a'; length], machines(length / 60).into_bytes()] {
            let packed = encode(Coding::Zstd, &plain.clone().into()).unwrap();
            assert!(unpack("zstd", &packed) == plain, "{length}");
        }
    }
}

#[tokio::test]
async fn what_comes_in_pieces_is_packed_in_pieces_and_a_broken_body_stays_broken() {
    async fn pieces(breaks: bool) -> Response {
        let pieces = (0..3).map(move |n| if breaks && n == 2 { Err("gone") } else { Ok(machines(n)) });
        Body::from_stream(futures_util::stream::iter(pieces)).into_response()
    }
    let router = Router::new().route("/", get(async || pieces(false).await));
    let router = wrap(router.route("/broken", get(async || pieces(true).await)));
    let plain: String = (0..3).map(machines).collect();
    for (wish, expected) in [("gzip", Some("gzip")), ("zstd", None), ("gzip;q=0, *", None), ("", None)] {
        let (headers, body) = ask(&router, "/", wish).await;
        let coding = headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap());
        assert_eq!(coding, expected, "{wish}");
        match coding {
            Some(coding) => assert_eq!(unpack(coding, &body), plain.as_bytes()),
            None => assert_eq!(body, plain),
        }
    }
    let request = Request::get("/broken").header(ACCEPT_ENCODING, "gzip").body(Body::empty()).unwrap();
    let mut body = router.oneshot(request).await.unwrap().into_body();
    // Each piece can be read as it comes.
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let mut unpacked = [0; 2];
    GzDecoder::new(&*first).read_exact(&mut unpacked).unwrap();
    assert_eq!(&unpacked, b"[]");
    assert!(body.collect().await.is_err());
}
