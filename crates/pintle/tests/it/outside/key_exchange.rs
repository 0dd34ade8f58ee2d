//! How an issuer's keys come, are exchanged, and go.

use std::sync::Arc;
use std::time::Duration;

use pintle::auth::token::Refusal;
use pintle_model::Time;

use super::site::{Answer, DISCOVERY, ELLIPTIC, FIRST, KEYS, SECOND, Site, jwks};
use super::{House, claims, start};

fn after(seconds: u64) -> Time {
    start() + Duration::from_secs(seconds)
}

/// Tokens that live for days, to see keys die before them.
fn long(site: &Site) -> serde_json::Value {
    let mut claims = claims(site);
    claims["exp"] = (start().unix_seconds() + 10 * 86_400).into();
    claims
}

/// Waits for a fetch that nobody else waits for.
async fn asked(site: &Site, times: usize) {
    let asked = async {
        while site.asked(KEYS) < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // What came is taken in a moment later.
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.expect("nobody asked");
}

#[tokio::test]
async fn a_new_key_is_found_and_one_that_was_taken_back_is_refused() {
    let site = Site::start().await;
    let house = House::new(&site, "", "");
    let (old, new) = (FIRST.sign(&long(&site)), SECOND.sign(&long(&site)));
    house.verify(&old, start()).await.unwrap();
    assert!(matches!(house.verify(&new, after(30)).await, Err(Refusal::Outside(_))));
    assert_eq!(site.asked(KEYS), 1, "not again so soon");

    site.answer(KEYS, jwks(&[&FIRST, &SECOND]));
    house.verify(&new, after(61)).await.unwrap();
    house.verify(&old, after(61)).await.unwrap();
    assert_eq!(site.asked(KEYS), 2);

    site.answer(KEYS, jwks(&[&SECOND]));
    // Whoever notices that the keys are old does not wait for newer ones.
    house.verify(&old, after(3_700)).await.unwrap();
    asked(&site, 3).await;
    assert!(matches!(house.verify(&old, after(3_701)).await, Err(Refusal::Outside(_))), "though remembered");
    house.verify(&new, after(3_701)).await.unwrap();
    assert_eq!((site.asked(KEYS), site.asked(DISCOVERY)), (3, 3));
}

#[tokio::test]
async fn a_key_is_not_another_one_of_the_same_name() {
    let site = Site::start().await;
    let house = House::new(&site, "", "");
    let token = FIRST.sign(&long(&site));
    house.verify(&token, start()).await.unwrap();
    let mut other = SECOND.jwk.clone();
    (other["kid"], other["alg"]) = ("first".into(), "RS256".into());
    site.answer(KEYS, Answer::Json(serde_json::json!({ "keys": [other] }).to_string()));
    assert!(matches!(house.verify(&token, after(3 * 3_600)).await, Err(Refusal::Outside(_))));
}

#[tokio::test]
async fn after_hours_without_a_question_the_keys_are_asked_for_first() {
    let site = Site::start().await;
    let house = House::new(&site, "", "");
    let token = FIRST.sign(&long(&site));
    house.verify(&token, start()).await.unwrap();
    site.answer(KEYS, jwks(&[&SECOND]));
    assert!(matches!(house.verify(&token, after(3 * 3_600)).await, Err(Refusal::Outside(_))));
}

#[tokio::test]
async fn without_the_issuer_its_keys_count_for_a_day() {
    let site = Site::start().await;
    let house = House::new(&site, "", "");
    let token = FIRST.sign(&long(&site));
    house.verify(&token, start()).await.unwrap();
    site.answer(KEYS, Answer::Status(500));
    // So far apart that each waits for what becomes of its fetch.
    for hour in [3, 8, 16, 24] {
        house.verify(&token, after(hour * 3_600)).await.unwrap();
    }
    assert_eq!(house.verify(&token, after(24 * 3_600 + 61)).await, Err(Refusal::OutsideKeys));
    site.answer(KEYS, jwks(&[&FIRST]));
    assert_eq!(house.verify(&token, after(24 * 3_600 + 65)).await, Err(Refusal::OutsideKeys), "too soon");
    house.verify(&token, after(24 * 3_600 + 73)).await.unwrap();
}

#[tokio::test]
async fn a_fetch_that_failed_is_not_repeated_at_once() {
    let site = Site::start().await;
    site.answer(KEYS, Answer::Status(500));
    let house = House::new(&site, "", "");
    let token = FIRST.sign(&claims(&site));
    for _ in 0..50 {
        assert_eq!(house.verify(&token, start()).await, Err(Refusal::OutsideKeys));
    }
    assert_eq!(site.asked(KEYS), 1);
    site.answer(KEYS, jwks(&[&FIRST]));
    house.verify(&token, after(12)).await.unwrap();
    assert_eq!(site.asked(KEYS), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_requests_at_once_cause_one_fetch() {
    let site = Site::start().await;
    let house = Arc::new(House::new(&site, "", ""));
    let at_once = |token: String, now: Time| {
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let (house, token) = (Arc::clone(&house), token.clone());
                tokio::spawn(async move { house.verify(&token, now).await })
            })
            .collect();
        futures_util::future::join_all(tasks)
    };
    for verified in at_once(FIRST.sign(&claims(&site)), start()).await {
        verified.unwrap().unwrap();
    }
    assert_eq!((site.asked(DISCOVERY), site.asked(KEYS)), (1, 1), "the first keys");
    for refused in at_once(ELLIPTIC.sign(&claims(&site)), after(90)).await {
        assert!(matches!(refused.unwrap(), Err(Refusal::Outside(_))));
    }
    assert_eq!((site.asked(DISCOVERY), site.asked(KEYS)), (2, 2), "an unknown key");
}

#[tokio::test]
async fn who_hangs_up_does_not_stop_a_fetch_that_others_wait_for() {
    let site = Site::start().await;
    let house = Arc::new(House::new(&site, "", ""));
    let token = FIRST.sign(&claims(&site));
    let hasty = {
        let (house, token) = (Arc::clone(&house), token.clone());
        tokio::spawn(async move { house.verify(&token, start()).await })
    };
    tokio::task::yield_now().await;
    hasty.abort();
    assert!(hasty.await.unwrap_err().is_cancelled());
    house.verify(&token, start()).await.unwrap();
    assert_eq!(site.asked(KEYS), 1);
}
